"""One statement that writes all rows of a group of changes, if the head of the log is still as it was read.

The parts of the statement see the same snapshot, and each waits for the log's head (the part `head`). PostgreSQL runs
a part that nothing reads to its end (https://www.postgresql.org/docs/current/queries-with.html).
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from nightsafe.store.postgres.engine.texts import columns
from nightsafe.store.postgres.writes.tables import (
    AUDIT,
    BINDINGS,
    CONTENTS,
    GROUPS,
    HISTORY,
    MODULES,
    NODES,
    SCRIPTS,
    UPLOADS,
    VERSIONS,
    Table,
)

_NAMED: Final = ("account_id text", "namespace text", "script text", "name text")
MOVES: Final = Table("moves", (*_NAMED, "script_id text", "to_version bigint"), 4)
"""Bindings that go to the history as the database has them."""

REMOVALS: Final = Table("removed", _NAMED, 4)
"""Bindings that the newest version does not have any more."""

_HEAD: Final = """
UPDATE log_head SET size = $2, frontier = $3, checkpoint = $4 WHERE id = 1 AND size = $1 RETURNING size
"""
_LOCKED: Final = "SELECT size FROM log_head WHERE id = 1 AND size = $1"
_MOVE: Final = """
INSERT INTO binding_history (account_id, script_id, to_version, name, from_version, kind, shown, key_id, sealed,
  digest, stated_in, position)
SELECT b.account_id, k.script_id, k.to_version, b.name, b.since, b.kind, b.shown, b.key_id, b.sealed,
  b.digest, b.stated_in, b.position
FROM head, {source} JOIN bindings b ON b.account_id = k.account_id AND b.namespace = k.namespace
  AND b.script = k.script AND b.name = k.name
"""
_REMOVE: Final = """
DELETE FROM bindings b USING head, {source}
WHERE b.account_id = k.account_id AND b.namespace = k.namespace AND b.script = k.script AND b.name = k.name
"""
_ORDER: Final = (
    MOVES,
    REMOVALS,
    HISTORY,
    SCRIPTS,
    BINDINGS,
    VERSIONS,
    UPLOADS,
    MODULES,
    CONTENTS,
    AUDIT,
    NODES,
    GROUPS,
)
_REPLACED: Final = frozenset({SCRIPTS.name, BINDINGS.name})
"""Tables whose rows may be there already, and are written over."""

Rows = dict[str, list[tuple[Any, ...]]]
"""The rows to write, by the name of their table."""


def statement(rows: Rows, size: int, advance: Sequence[object] | None, channel: str | None) -> tuple[str, list[Any]]:
    """Return the SQL that writes some rows, with its parameters. It returns one row, or none if the log has moved on.

    Args:
        rows: the rows.
        size: the size that the log's head must have.
        advance: the new size, frontier and checkpoint; None to leave the head, which the transaction has locked.
        channel: the channel to notify of the commit, or None.
    """
    tables = tuple(table for table in _ORDER if rows.get(table.name))
    parameters: list[Any] = [size, *(advance or ())]
    for table in tables:
        parameters += columns(rows[table.name])
    return _sql(tuple(table.name for table in tables), advance is not None, channel), parameters


@lru_cache(maxsize=256)
def _sql(names: tuple[str, ...], advances: bool, channel: str | None) -> str:  # noqa: FBT001 - part of the cache's key
    """Return the statement for some tables."""
    number = 4 if advances else 1
    parts = [f"head AS ({_HEAD if advances else _LOCKED})"]
    for table in _ORDER:
        if table.name in names:
            source = _source(table, number)
            number += len(table.columns)
            parts.append(f"to_{table.name} AS ({_part(table, source)})")
    notified = f", pg_notify('{channel}', size::text)" if channel and advances else ""
    return f"WITH {', '.join(parts)} SELECT size{notified} FROM head"  # noqa: S608 - our own SQL


def _source(table: Table, number: int) -> str:
    """Return an unnest of arrays, whose parameters follow `number`, as a row source `k`."""
    arrays = ", ".join(f"${number + place}::{kind}" for place, kind in enumerate(table.arrays, start=1))
    return f"unnest({arrays}) AS k({', '.join(table.names)})"


def _part(table: Table, source: str) -> str:
    """Return the part of the statement that writes one table."""
    if table is MOVES:
        return _MOVE.format(source=source)
    if table is REMOVALS:
        return _REMOVE.format(source=source)
    names = ", ".join(table.names)
    values = ", ".join(f"k.{name}" for name in table.names)
    sql = f"INSERT INTO {table.name} ({names}) SELECT {values} FROM head, {source}"  # noqa: S608 - our own SQL
    if table is CONTENTS:
        return f"{sql} ON CONFLICT DO NOTHING"
    if table.name not in _REPLACED:
        return sql
    keys = ", ".join(table.names[: table.keys])
    updates = ", ".join(f"{name} = excluded.{name}" for name in table.names[table.keys :])
    return f"{sql} ON CONFLICT ({keys}) DO UPDATE SET {updates}"
