"""The reads of references to a script, in SQL, and the refusals that need these reads in a change's transaction."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

import msgspec

from nightsafe.bindings.kinds import SCRIPT_REFERENCES
from nightsafe.store.built_rows import deployment_of
from nightsafe.store.references import MAX_CANDIDATES, CandidateBinding
from nightsafe.store.rules.script_head import key_of
from nightsafe.store.scripts import ScriptRef
from nightsafe.store.sqlite.engine.reader import Reader
from nightsafe.store.sqlite.reads.content import PartReader
from nightsafe.store.sqlite.reads.rows import DEPLOYMENTS, HEAD, VERSION_BY_ID

_KINDS: Final = "(" + ", ".join(f"'{kind}'" for kind in sorted(SCRIPT_REFERENCES)) + ")"
"""Exactly the same text as in the indexes of migration 0007; otherwise SQLite could not use these indexes."""

T = TypeVar("T")

_LIVE: Final = f"""
SELECT namespace, script, name, kind, shown FROM bindings INDEXED BY bindings_of_scripts
WHERE account_id = ? AND kind IN {_KINDS} AND instr(shown, ?) > 0 LIMIT {MAX_CANDIDATES}
"""  # noqa: S608  # our own SQL
_OLDER: Final = f"""
SELECT s.namespace, s.name, h.name, h.kind, h.shown, h.from_version, h.to_version FROM binding_history h
INDEXED BY binding_history_of_scripts JOIN scripts s ON s.account_id = h.account_id AND s.id = h.script_id
WHERE h.account_id = ? AND h.kind IN {_KINDS} AND instr(h.shown, ?) > 0 AND s.live_version <> s.version
LIMIT {MAX_CANDIDATES}
"""  # noqa: S608  # our own SQL
_SETTINGS: Final = f"""
SELECT namespace, name, script_settings FROM scripts
WHERE account_id = ? AND instr(script_settings, ?) > 0 ORDER BY namespace, name LIMIT {MAX_CANDIDATES}
"""  # noqa: S608  # our own SQL


def bindings_mentioning(db: sqlite3.Cursor, account_id: str, name: str) -> list[CandidateBinding]:
    """See `Store.bindings_mentioning`."""
    parameters = (account_id, msgspec.json.encode(name))
    live, older = (_candidates(account_id, db.execute(sql, parameters).fetchall()) for sql in (_LIVE, _OLDER))
    served = {script: _served(db, script) for script in {pointer.script for pointer in older}}
    return live + [
        pointer for pointer in older if any(pointer.since <= at < pointer.until for at in served[pointer.script])
    ]


def settings_mentioning(db: sqlite3.Cursor, account_id: str, name: str) -> list[tuple[ScriptRef, bytes]]:
    """See `Store.settings_mentioning`."""
    rows = db.execute(_SETTINGS, (account_id, msgspec.json.encode(name)))
    return [(ScriptRef(account_id, script, namespace), settings) for namespace, script, settings in rows]


def _candidates(account_id: str, rows: Iterable[tuple[Any, ...]]) -> list[CandidateBinding]:
    """Build pointers from rows, in a deterministic order."""
    return [
        CandidateBinding(ScriptRef(account_id, script, namespace), *rest) for namespace, script, *rest in sorted(rows)
    ]


def _served(db: sqlite3.Cursor, ref: ScriptRef) -> list[int]:
    """Return the numbers of a script's served versions."""
    script_id, _ = db.execute(HEAD, key_of(ref)).fetchone()
    script_key = (ref.account_id, script_id)
    row = db.execute(DEPLOYMENTS, (*script_key, *script_key, 1, 0)).fetchone()
    shares = () if row is None else deployment_of(row).versions
    return [db.execute(VERSION_BY_ID, (*script_key, version_id)).fetchone()[0] for version_id, _ in shares]


class ReferenceReads:
    """The part of `Store` that reads references to a script. The reads search bytes and do not parse members.

    They search every binding of an account that can lead to a script, so they run in a thread.
    """

    _reader: Reader
    _parts: PartReader

    async def bindings_mentioning(self, account_id: str, name: str) -> list[CandidateBinding]:
        """See `Store.bindings_mentioning`."""
        return await self._search_in_thread(lambda db: bindings_mentioning(db, account_id, name))

    async def settings_mentioning(self, account_id: str, name: str) -> list[tuple[ScriptRef, bytes]]:
        """See `Store.settings_mentioning`."""
        return await self._search_in_thread(lambda db: settings_mentioning(db, account_id, name))

    async def _search_in_thread(self, read: Callable[[sqlite3.Cursor], T]) -> T:
        """Run a search in the thread, and return its result."""
        self._reader.generation()  # refuses reads after the store is closed
        return await asyncio.get_running_loop().run_in_executor(self._parts.thread, self._parts.in_transaction, read)
