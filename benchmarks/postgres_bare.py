"""Measures what the batched statements reach alone, with ready-made rows, sent by the driver without anything else.

A group's statement applies once, to the size of the log that it was made for. So the store commits groups in one
database while its statements are recorded, and they are sent again, in order, to a copy of the database as it was.
"""

import asyncio
import random
import time
from typing import Any
from unittest.mock import patch

import asyncpg
from benchmarks.postgres_safe import PostgresSafe, plain_url, query
from benchmarks.seed import new_stamp
from benchmarks.settings import ACCOUNT_ID, PER_SCRIPT, VALUE
from benchmarks.traffic import NAMES, SCRIPT, SECRET

from nightsafe.audit.entry import AuditEvent, entry_for
from nightsafe.bindings.model import SecretText
from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.secret_value import SecretValue
from nightsafe.services.caller import now
from nightsafe.services.secrets.seal import Safe
from nightsafe.store.changes import Change
from nightsafe.store.postgres.engine import group_commit
from nightsafe.store.postgres.reads.scripts import SHOWN
from nightsafe.store.postgres.writes.statement import statement
from nightsafe.store.script_edit import ScriptEdit
from nightsafe.store.scripts import ScriptRef

_COPY = "before_the_writes"
GROUPS = 60
"""How many groups are committed."""


def writes(safe: PostgresSafe, scripts: int, size: int) -> list[float]:
    """Return the changes a second of groups of this size, in thirds of the groups. No node may serve the safe."""
    query(safe.server, "postgres", lambda db: db.execute(f"CREATE DATABASE {_COPY} TEMPLATE {safe.database}"))
    try:
        recorded = asyncio.run(_record(safe, scripts, size))
        return asyncio.run(_replay(plain_url(safe.server, _COPY), recorded, size))
    finally:
        query(safe.server, "postgres", lambda db: db.execute(f"DROP DATABASE {_COPY} WITH (FORCE)"))


def reads(safe: PostgresSafe, scripts: int, size: int, seconds: float) -> list[float]:
    """Return the look-ups a second of batches of this size, in three rounds."""

    async def run(db: Any) -> list[float]:
        """Send batches of random keys, which were made before."""
        draw = random.Random(1)  # noqa: S311 - draws names of keys, no secrets
        batches = [_keys(draw, scripts, size) for _ in range(64)]
        rates = []
        for _ in range(3):
            done, began = 0, time.perf_counter()
            while time.perf_counter() - began < seconds:
                await db.fetch(SHOWN, *batches[done % len(batches)])
                done += 1
            rates.append(done * size / (time.perf_counter() - began))
        return rates

    rates: list[float] = query(safe.server, safe.database, run)
    return rates


def _keys(draw: random.Random, scripts: int, size: int) -> list[list[Any]]:
    """Return the parameters of a batch of look-ups."""
    names = [NAMES[SCRIPT] % draw.randrange(scripts) for _ in range(size)]
    secrets = [NAMES[SECRET] % draw.randrange(PER_SCRIPT) for _ in range(size)]
    return [list(range(size)), [ACCOUNT_ID] * size, [""] * size, names, secrets]


async def _record(safe: PostgresSafe, scripts: int, size: int) -> list[tuple[str, list[Any]]]:
    """Commit groups, and return their statements."""
    recorded = list[tuple[str, list[Any]]]()

    def record(*arguments: Any) -> tuple[str, list[Any]]:
        """Make a statement as ever, and keep it."""
        recorded.append(statement(*arguments))
        return recorded[-1]

    directory = DataDirectory(safe.path)
    store = await directory.open_store()
    sealing, draw = await directory.safe_for(store), random.Random(2)  # noqa: S311 - draws names of keys, no secrets
    try:
        with patch.object(group_commit, "statement", record):
            for _ in range(GROUPS):
                changes = [_change(sealing, draw.randrange(scripts), draw.randrange(PER_SCRIPT)) for _ in range(size)]
                await asyncio.gather(*map(store.commit, changes))
    finally:
        await store.close()
    return recorded


def _change(safe: Safe, script: int, secret: int) -> Change:
    """Return the change of a PUT of one secret."""
    at, ref = now(), ScriptRef(ACCOUNT_ID, NAMES[SCRIPT] % script)
    binding = safe.seal(ref, SecretText(NAMES[SECRET] % secret, SecretValue(VALUE.encode())))
    deed = AuditEvent(at=at, action="secrets.put", actor="0" * 32, actor_kind="operator", account_id=ACCOUNT_ID)
    return Change(at=at, audit=entry_for(deed), edit=ScriptEdit(ref=ref, stamp=new_stamp(), set=(binding,)))


async def _replay(url: str, recorded: list[tuple[str, list[Any]]], size: int) -> list[float]:
    """Send the statements in order, and return the changes a second in each third."""
    db = await asyncpg.connect(url, ssl="disable")
    rates = []
    third = len(recorded) // 3
    try:
        for part in range(3):
            began = time.perf_counter()
            for sql, parameters in recorded[part * third : (part + 1) * third]:
                if await db.fetchrow(sql, *parameters) is None:
                    raise RuntimeError("a recorded statement did not apply")
            rates.append(third * size / (time.perf_counter() - began))
    finally:
        await db.close()
    return rates
