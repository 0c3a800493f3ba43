"""The reads of sealed values by their key, in SQL.

A mark is the letter of a table and a row number in that table. A number may later name another row (after VACUUM).
This does no harm, because a write by mark compares the current record with the record that was read.
"""

import asyncio
import sqlite3
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.log.proofs import stored_value
from nightsafe.store.sealed_values import StoredValue
from nightsafe.store.sqlite.engine.reader import Reader
from nightsafe.store.sqlite.reads.stated import Proofs
from nightsafe.store.turns import turn

_ROWS_A_TURN: Final = 5000
"""The number of index entries to count before other tasks run, which takes half a millisecond."""


class _ValueTable(NamedTuple):
    """A table that contains values.

    Attributes:
        table: the table's name.
        columns: the columns for the collection's kind, namespace, owner and environment.
        since: the column with the version that put the value, or with the time when it was put.
        place: the value's place in the log after `value/`, in a row `t`.
        joined: the JOIN that a row `t` needs for these columns.
    """

    table: str
    columns: str
    since: str
    place: str
    joined: str = ""


_VALUE_TABLES: Final[Mapping[str, _ValueTable]] = MappingProxyType(
    {
        "a": _ValueTable(
            "bindings",
            "NULL, t.namespace, t.script, ''",
            "since",
            """(
  SELECT id FROM scripts s WHERE s.account_id = t.account_id AND s.namespace = t.namespace AND s.name = t.script
) || '/' || t.since || '/' || t.name""",
        ),
        "b": _ValueTable(
            "binding_history",
            "NULL, s.namespace, s.name, ''",
            "from_version",
            "t.script_id || '/' || t.from_version || '/' || t.name",
            "LEFT JOIN scripts s ON s.account_id = t.account_id AND s.id = t.script_id",
        ),
        "c": _ValueTable(
            "items",
            "h.kind, '', h.name, t.environment",
            "since",
            "t.collection_id || '/' || t.environment || '/' || t.name",
            "JOIN collections h ON h.account_id = t.account_id AND h.id = t.collection_id",
        ),
    }
)
"""The tables, by their letters in marks. Live rows come first, because changes move rows to the history."""

TABLES: Final = tuple(table_.table for table_ in _VALUE_TABLES.values())
WHERE_PUT: Final = {table_.table: f"{table_.since}, {table_.place}" for table_ in _VALUE_TABLES.values()}
"""Since when each value of a table is there, and its place in the log, in a row `t`."""

_OWNER: Final = 3
"""The index of the owner's name in a row; the name is NULL if the owner was deleted."""

_NEXT_KEY = "SELECT min(key_id) FROM {table} WHERE account_id = ? AND key_id > ?"
_COUNT = """
SELECT count(*), max(number) FROM (
  SELECT rowid AS number FROM {table} WHERE account_id = ? AND key_id = ? AND rowid > ? ORDER BY rowid LIMIT ?
)
"""
_VALUE = """
SELECT t.rowid, {columns}, t.name, t.kind, t.shown, t.sealed, t.key_id, {place},
  t.{since}, t.stated_in, t.position FROM {table} t {joined}
WHERE t.rowid = ? AND t.account_id = ? AND t.key_id IS NOT NULL
"""
_PAGE = """
SELECT t.rowid, {columns}, t.name, t.kind, t.shown, t.sealed, t.key_id, {place},
  t.{since}, t.stated_in, t.position FROM (
  SELECT number, sum(size) OVER (ORDER BY number) - size AS before FROM (
    SELECT rowid AS number, length(sealed) AS size FROM {table}
    WHERE account_id = ? AND key_id = ? AND rowid > ? ORDER BY rowid LIMIT ?
  )
) p JOIN {table} t ON t.rowid = p.number {joined}
WHERE p.before < ? ORDER BY t.rowid
"""
_NEXT_KEYS: Final = tuple(_NEXT_KEY.format(table=table) for table in TABLES)
_COUNTS: Final = tuple(_COUNT.format(table=table) for table in TABLES)
_PAGES: Final = {letter: _PAGE.format(**table_._asdict()) for letter, table_ in _VALUE_TABLES.items()}
_VALUES: Final = {letter: _VALUE.format(**table_._asdict()) for letter, table_ in _VALUE_TABLES.items()}
_RETIRED = "SELECT id FROM retired_keys ORDER BY id"
_RING_NUMBER = "SELECT number FROM ring"


class ValueReads:
    """The part of `Store` that reads values by their key."""

    _reader: Reader

    async def keys_in_use(self, account_id: str) -> list[str]:
        """See `Store.keys_in_use`."""
        return sorted({key_id for sql in _NEXT_KEYS for key_id in self._keys(sql, account_id)})

    async def count_values(self, account_id: str, key_id: str) -> int:
        """See `Store.count_values`."""
        total = 0
        for sql in _COUNTS:
            number, count = 0, _ROWS_A_TURN
            while count == _ROWS_A_TURN:
                count, number = self._reader.one(sql, (account_id, key_id, number, _ROWS_A_TURN))
                total += count
                await asyncio.sleep(0)
        return total

    async def values_under(
        self, account_id: str, key_id: str, *, after: str = "", limit: int = 100, max_bytes: int = 1 << 20
    ) -> list[StoredValue]:
        """See `Store.values_under`. A page ends at the end of its table, unless the page would then be empty.

        Rows of deleted scripts that are not yet purged are skipped.
        """
        first, number = (next(iter(_VALUE_TABLES)), 0) if not after else parse_mark(after)
        for letter in _VALUE_TABLES:
            if letter < first:
                continue
            after_row = number if letter == first else 0
            found, last = self._page(letter, account_id, (account_id, key_id, after_row, limit, max_bytes))
            while last and not found:
                await turn()
                found, last = self._page(letter, account_id, (account_id, key_id, last, limit, max_bytes))
            if found:
                return found
        return []

    async def value(self, account_id: str, mark: str) -> StoredValue | None:
        """See `Store.value`."""
        letter, number = parse_mark(mark)

        def read(db: sqlite3.Cursor) -> StoredValue | None:
            """Read the value within a transaction."""
            row = db.execute(_VALUES[letter], (number, account_id)).fetchone()
            return None if row is None or row[_OWNER] is None else _value(Proofs(db), letter, account_id, row)

        return self._reader.in_transaction(read)

    def _page(self, letter: str, account_id: str, key: tuple[object, ...]) -> tuple[list[StoredValue], int]:
        """Read a page of values; return them, and the number of the last row of the page, which is 0 at the end."""

        def read(db: sqlite3.Cursor) -> tuple[list[StoredValue], int]:
            """Read the page within a transaction."""
            rows, proofs = db.execute(_PAGES[letter], key).fetchall(), Proofs(db)
            values = [_value(proofs, letter, account_id, row) for row in rows if row[_OWNER] is not None]
            return values, rows[-1][0] if rows else 0

        return self._reader.in_transaction(read)

    async def retired_keys(self) -> list[str]:
        """See `Store.retired_keys`."""
        return self.retired_keys_now()

    def retired_keys_now(self) -> list[str]:
        """See `Store.retired_keys_now`."""
        return [key_id for (key_id,) in self._reader.all(_RETIRED)]

    async def ring_number(self) -> int:
        """See `Store.ring_number`."""
        number: int = self._reader.one(_RING_NUMBER, ())[0]
        return number

    def _keys(self, sql: str, account_id: str) -> Iterator[str]:
        """Yield the keys of one table, with one look-up for each key, however many rows the key has."""
        key_id = ""
        while (key_id := self._reader.one(sql, (account_id, key_id))[0]) is not None:
            yield key_id


def parse_mark(mark: str) -> tuple[str, int]:
    """Split a mark into its letter and number.

    Raises:
        NightsafeError: INVALID, when `mark` is not a mark of this engine.
    """
    letter, digits = mark[:1], mark[1:]
    if letter not in _VALUE_TABLES or not (digits.isascii() and digits.isdigit()) or len(digits) > len(str(1 << 62)):
        raise NightsafeError(Code.INVALID, "the mark is not one that the store has returned")
    return letter, int(digits)


def table_of(letter: str) -> str:
    """Return the table of a mark's letter."""
    return _VALUE_TABLES[letter].table


def _value(proofs: Proofs, letter: str, account_id: str, row: tuple[Any, ...]) -> StoredValue:
    """Build a value from a row of a page, or from a row found by its mark."""
    return stored_value(proofs, f"{letter}{row[0]}", account_id, row[1:])
