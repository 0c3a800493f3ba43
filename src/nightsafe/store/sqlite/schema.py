"""The schema's version, and the way from an older one."""

import sqlite3
from collections.abc import Iterator
from importlib import resources

from nightsafe.errors import Code, NightsafeError


def migrations() -> list[str]:
    """The SQL of each step; the first makes version 1 of an empty file."""
    folder = resources.files("nightsafe.store.sqlite.migrations")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return [file.read_text(encoding="utf-8") for file in files]


def migrate(db: sqlite3.Connection) -> None:
    """Bring a database to the newest schema, all steps in one transaction.

    Raises:
        NightsafeError: STORE, when the database is newer than this program.
        sqlite3.Error: and nothing is changed, when a step fails.
    """
    steps = migrations()
    if _version(db, len(steps)) == len(steps):
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        for number in range(_version(db, len(steps)), len(steps)):
            for statement in _statements(steps[number]):
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {len(steps)}")
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _version(db: sqlite3.Connection, known: int) -> int:
    """The database's schema version; refuses one that is not known."""
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > known:
        raise NightsafeError(
            Code.STORE,
            f"the database has schema version {version}, this program knows up to {known}: use a newer program",
        )
    return version


def _statements(script: str) -> Iterator[str]:
    """The statements of a script, a trigger's body kept whole."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
