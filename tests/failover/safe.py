"""What a safe has, and whether it agrees with the journal of clients and with its own log."""

import json
from collections import defaultdict
from typing import Any, Final

import asyncpg
from msgspec import Struct
from msgspec.structs import asdict
from tests.failover.journal import compare, done
from tests.failover.load import Load
from tests.failover.nodes import Nodes

from nightsafe.merkle.checkpoint import NoteKey, open_note
from nightsafe.merkle.tree import leaf_hash, root_of

_MADE: Final = """
SELECT b.script, b.name, b.since FROM bindings b WHERE b.script = ANY($1::text[])
UNION ALL
SELECT s.name, h.name, h.from_version FROM binding_history h JOIN scripts s ON s.id = h.script_id
WHERE s.name = ANY($1::text[])
"""
_VERSIONS: Final = """
SELECT s.name, count(*) FROM versions v JOIN scripts s ON s.id = v.script_id WHERE s.name = ANY($1::text[]) GROUP BY 1
"""


class Contents(Struct, frozen=True):
    """What a safe has.

    Attributes:
        made: for each script and secret, the numbers of all versions that ever made the secret.
        versions: the number of versions of each script.
        entries: the numbers and the texts of the log's entries.
        origin: the log's name.
        checkpoint: the log's newest signed checkpoint.
        version_ids: the ids of all versions, in hexadecimal digits.
    """

    made: dict[tuple[str, str], list[int]]
    versions: dict[str, int]
    entries: list[tuple[int, bytes]]
    origin: str
    checkpoint: bytes
    version_ids: list[str]


async def problems(db: asyncpg.Connection, nodes: Nodes, load: Load) -> dict[str, list[Any]]:
    """Return what is wrong with a safe, by kind: the kinds of `Findings`, `miscounted` scripts, and the `log`.

    Args:
        db: a connection in a transaction, so that all is read as of one moment.
        nodes: the nodes that have signed the log.
        load: the clients, which have ended.
    """
    contents, outcomes = await _read(db, load.scripts), load.journal.outcomes()
    own = done(outcomes, contents.made)
    found = {
        **asdict(compare(outcomes, contents.made)),
        "miscounted": [script for script in load.scripts if 1 + own[script] != contents.versions.get(script)],
        "log": _log_problems(contents, nodes),
    }
    return {kind: which for kind, which in found.items() if which}


async def _read(db: asyncpg.Connection, scripts: list[str]) -> Contents:
    """Return what a safe has of some scripts, and its whole log."""
    made: dict[tuple[str, str], list[int]] = defaultdict(list)
    for script, name, version in await db.fetch(_MADE, scripts):
        made[script, name].append(version)
    origin, checkpoint = await db.fetchrow("SELECT origin, checkpoint FROM log_head")
    return Contents(
        made,
        dict(await db.fetch(_VERSIONS, scripts)),
        [tuple(row) for row in await db.fetch("SELECT seq, entry FROM audit ORDER BY seq")],
        origin,
        checkpoint,
        [row[0].hex() for row in await db.fetch("SELECT id FROM versions")],
    )


def _log_problems(contents: Contents, nodes: Nodes) -> list[str]:
    """Return what is wrong with a log that should be one tree with a signed head and an entry for each version."""
    entries = contents.entries
    head = open_note(contents.checkpoint, [NoteKey(contents.origin, key) for key in nodes.public_keys()])
    logged = [json.loads(entry).get("version_id") for _, entry in entries]
    checks = {
        "entries are missing": list(range(1, head.size + 1)) == [number for number, _ in entries],
        "the root is another": root_of([leaf_hash(entry) for _, entry in entries]) == head.root,
        "versions and entries differ": sorted(contents.version_ids)
        == sorted(version.replace("-", "") for version in logged if version),
    }
    return [problem for problem, is_right in checks.items() if not is_right]
