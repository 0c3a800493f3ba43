"""The tables of a safe, which are the same on every engine, as SQLite's schema declares them."""

import sqlite3
from contextlib import closing
from functools import lru_cache
from typing import Any, Final, NamedTuple

from nightsafe.store.sqlite.engine.schema import migrations

Row = tuple[Any, ...]
Key = tuple[Any, ...]
"""The values of a table's key columns; empty for the place before the first row, or after the last one."""

_TABLES: Final = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
_COLUMNS: Final = "SELECT name, type FROM pragma_table_info(?)"
_PRIMARY_KEY: Final = "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk"
_FIRST_UNIQUE: Final = """
SELECT name FROM pragma_index_info((
  SELECT name FROM pragma_index_list(?) WHERE origin = 'u' ORDER BY seq DESC LIMIT 1
)) ORDER BY seqno
"""


class Table(NamedTuple):
    """A table.

    Attributes:
        name: its name.
        columns: the names of its columns.
        key: the columns that identify a row and give the rows their order, which is the same on every engine.
        places: the places of the key among the columns.
        sized: the columns with texts or bytes.
    """

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    places: tuple[int, ...]
    sized: tuple[str, ...]

    def key_of(self, row: Row) -> Key:
        """Return the key of a row."""
        return tuple(row[place] for place in self.places)

    def words(self, key: Key) -> str:
        """Return the row with a key in words."""
        values = (value.hex() if isinstance(value, bytes) else repr(value) for value in key)
        named = ", ".join(f"{name} {value}" for name, value in zip(self.key, values, strict=True))
        return f"the row of the table {self.name} with {named}"

    def range(self, after: Key, last: Key, parameter: str) -> str:
        """Return the condition for the rows after a key and up to another one, with parameters for both.

        Args:
            after: the key before the range, or the empty key.
            last: the last key of the range, or the empty key.
            parameter: a parameter of the engine, with `{}` for its number.
        """
        names, count = ", ".join(self.key), len(self.key)
        numbers = [parameter.format(number) for number in range(1, len(after) + len(last) + 1)]
        conditions = [f"({names}) > ({', '.join(numbers[:count])})"] if after else []
        if last:
            conditions.append(f"({names}) <= ({', '.join(numbers[-count:])})")
        return " AND ".join(conditions) or "true"


@lru_cache
def tables() -> tuple[Table, ...]:
    """Return every table of the newest schema."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript("".join(migrations()))
        return tuple(_table(db, name) for (name,) in db.execute(_TABLES).fetchall())


def _table(db: sqlite3.Connection, name: str) -> Table:
    """Read the columns and the key of a table."""
    types = dict(db.execute(_COLUMNS, (name,)).fetchall())
    key = db.execute(_PRIMARY_KEY, (name,)).fetchall() or db.execute(_FIRST_UNIQUE, (name,)).fetchall()
    columns, names = tuple(types), tuple(column for (column,) in key)
    sized = tuple(column for column, declared in types.items() if declared != "INTEGER")
    return Table(name, columns, names, tuple(map(columns.index, names)), sized)
