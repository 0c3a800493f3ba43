"""A verification compares every column of the database, except those that the documentation names."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
from tests.stores import IDENTITY_KEY
from tests.unit.audit.tools.filled_safe import change, fill, opened, verify

from nightsafe.audit.verification.difference import DifferenceError
from nightsafe.audit.verification.mac_check import check_macs

PAGE: Final = Path(__file__).parents[4] / "docs" / "transparency-log.md"
_TABLES: Final = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
_OTHER: Final = """
CASE typeof({0}) WHEN 'integer' THEN {0} + 1 WHEN 'text' THEN {0} || 'x' WHEN 'null' THEN 7
  ELSE CAST({0} || x'00' AS BLOB) END
"""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return a database with rows of every kind."""
    return fill(tmp_path_factory.mktemp("filled"), secrets=3)


def documented() -> set[str]:
    """Return the columns that the documentation names as not covered, each as `table.column`."""
    table = PAGE.read_text().partition("| not covered |")[2].partition("\n\n")[0]
    return {
        f"{name}.{column}"
        for name, columns in re.findall(r"^\| `(\w+)` \| ([^|]+) \|", table, re.MULTILINE)
        for column in re.findall(r"`(\w+)`", columns)
    }


def columns(db: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """Yield each table of a database with each of its columns."""
    for (table,) in db.execute(_TABLES).fetchall():
        for (column,) in db.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall():
            yield table, column


def is_seen(database: bytes, table: str, column: str) -> bool:
    """Return whether the schema refuses a change of one column in a table's last row, or a verification finds it."""
    last = f"SELECT max(rowid) FROM {table}"  # noqa: S608 - our own names
    with closing(opened(database)) as db:
        try:
            change(db, f"UPDATE {table} SET {column} = {_OTHER.format(column)} WHERE rowid = ({last})")  # noqa: S608 - the same
            verify(db)
            check_macs(db, IDENTITY_KEY)
        except (DifferenceError, sqlite3.IntegrityError):
            return True
    return False


def test_only_the_documented_columns_are_not_covered(database: bytes) -> None:
    """A change of a column is found if and only if the documentation does not list the column as not covered."""
    with closing(opened(database)) as db:
        filled = [(table, column) for table, column in columns(db) if db.execute(f"SELECT 1 FROM {table}").fetchone()]  # noqa: S608 - our own names

    unseen = {f"{table}.{column}" for table, column in filled if not is_seen(database, table, column)}

    assert documented() == unseen
