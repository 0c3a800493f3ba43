"""Copies the rows of all tables, and compares them afterwards.

Both go through the tables in the order of their keys, in parts of a few megabytes. A part that the target has already
is left as it is, so that a copy that was interrupted goes on where it was, even if the source has changed since then.
"""

from collections.abc import Callable
from typing import Protocol

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.copying.tables import Key, Row, Table, tables

Report = Callable[[int], None]
"""Takes the number of rows that were dealt with since its last call."""


class Source(Protocol):
    """The rows of a safe at one moment."""

    async def origin(self) -> str:
        """Return the name of the safe's log, which no other safe has."""
        ...

    async def log_size(self) -> int:
        """Return the number of entries of the safe's log."""
        ...

    async def count(self, table: Table) -> int:
        """Return the number of rows of a table."""
        ...

    async def part(self, table: Table, after: Key) -> list[Row]:
        """Return the next rows after a key, in the order of the keys; none at the end of the table."""
        ...


class Target(Protocol):
    """A database that becomes a copy. It has the mark of an unfinished copy until `finish`."""

    async def between(self, table: Table, after: Key, last: Key, most: int) -> list[Row]:
        """Return at most so many rows after a key and up to another one, in the order of the keys."""
        ...

    async def replace(self, table: Table, after: Key, last: Key, rows: list[Row]) -> None:
        """Put rows in the place of those after a key and up to another one, in one transaction.

        Raises:
            NightsafeError: UNAVAILABLE, when another process has begun to copy to this database.
        """
        ...

    async def finish(self) -> None:
        """Remove the mark."""
        ...


async def count_rows(source: Source) -> int:
    """Return the number of rows of all tables."""
    return sum([await source.count(table) for table in tables()])


async def copy_rows(source: Source, target: Target, report: Report) -> None:
    """Make the rows of the target those of the source.

    Raises:
        NightsafeError: as for `Target.replace`; STORE, when a database cannot be used.
    """
    for table in tables():
        await _remove_others(source, target, table)
        after: Key = ()
        while rows := await source.part(table, after):
            last = table.key_of(rows[-1])
            if await target.between(table, after, last, len(rows) + 1) != rows:
                await target.replace(table, after, last, rows)
            report(len(rows))
            after = last


async def compare_rows(source: Source, target: Target, report: Report) -> dict[str, int]:
    """Compare every row of the target with the source, and return the number of rows of each table.

    Raises:
        NightsafeError: STORE, with the first row that differs.
    """
    counts = {}
    for table in tables():
        after, count = Key(), 0
        while rows := await source.part(table, after):
            last = table.key_of(rows[-1])
            found = await target.between(table, after, last, len(rows) + 1)
            if found != rows:
                raise _difference(table, rows, found)
            report(len(rows))
            after, count = last, count + len(rows)
        if surplus := await target.between(table, after, (), 1):
            raise _difference(table, [], surplus)
        counts[table.name] = count
    return counts


async def _remove_others(source: Source, target: Target, table: Table) -> None:
    """Remove each part of the target that is not as in the source.

    A row that is inserted later would not find its place if another row still had its name, e-mail or digest.
    """
    after: Key = ()
    while await target.between(table, after, (), 1):
        rows = await source.part(table, after)
        last = table.key_of(rows[-1]) if rows else ()
        if await target.between(table, after, last, len(rows) + 1) != rows:
            await target.replace(table, after, last, [])
        if not rows:
            return
        after = last


def _difference(table: Table, expected: list[Row], found: list[Row]) -> NightsafeError:
    """Return the error that names the first row that is not the same on both sides."""
    copied = {table.key_of(row): row for row in found}
    for row in expected:
        if copied.pop(table.key_of(row), None) != row:
            return _error(table.words(table.key_of(row)))
    return _error(table.words(min(copied)))


def _error(words: str) -> NightsafeError:
    """Return the error for a row."""
    return NightsafeError(
        Code.STORE,
        f"{words} is not in the copy as it is in the source: something else writes to the copy. Stop that, and run"
        " the command again",
    )
