"""Puts the rows of scripts back to an older state, as an attacker with write access to the database can."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.unit.api.tools.driver import Api

TABLES = ("scripts", "bindings", "binding_history", "versions", "uploads", "modules", "deployments")


def keep(database: Path, copy: Path) -> Path:
    """Copy a database to another file, and return that file's path."""
    with closing(sqlite3.connect(database)) as db:
        db.execute("VACUUM INTO ?", (str(copy),))
    return copy


def put_back(database: Path, copy: Path, *tables: str) -> None:
    """Put all rows of scripts, or of some tables, back to their state in a copy; the log stays as it is."""
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("ATTACH ? AS before", (str(copy),))
        for table in tables or TABLES:
            db.execute(f"DELETE FROM {table}")  # noqa: S608 - the test's own SQL
            db.execute(f"INSERT INTO {table} SELECT * FROM before.{table}")  # noqa: S608 - the same


class Rows:
    """The rows of an API's scripts, at the time when this object was made.

    Args:
        api: the API.
        folder: a directory for a copy of its database.
    """

    def __init__(self, api: Api, folder: Path) -> None:
        self._database = api.path
        self._copy = keep(api.path, folder / "before.db")

    def put_back(self, *tables: str) -> None:
        """Put the rows back."""
        put_back(self._database, self._copy, *tables)
