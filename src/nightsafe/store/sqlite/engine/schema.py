"""The schema's version, and the migration from older versions."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import lru_cache
from importlib import resources
from typing import Final

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.sqlite.writes.log_rows import start_log

UNFINISHED_COPY: Final = "unfinished_copy"
"""The table that a database has until it is a whole copy of another one. No program serves such a database."""

_MAX_NAME_LENGTH: Final = 64
_WAY_OUT: Final = (
    "something other than Nightsafe has changed the database; restore a backup from before that change, or examine it"
)
_SCHEMA_OBJECTS: Final = (
    "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite!_stat_' ESCAPE '!'"
)


def migrations() -> list[str]:
    """Return the SQL of each migration; the first makes version 1 from an empty file."""
    folder = resources.files("nightsafe.store.sqlite.migrations")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return [file.read_text(encoding="utf-8") for file in files]


def migrate(db: sqlite3.Connection) -> None:
    """Migrate a database to the newest schema, with all steps in one transaction.

    Raises:
        NightsafeError: STORE, when the database is newer than this program, or contains an object that this program
            did not make.
        sqlite3.Error: when a step fails; nothing is changed.
    """
    steps = migrations()
    version = _version(db, len(steps))
    _refuse_foreign(db, steps[:version])
    if version == len(steps):
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        create_tables(db)
        start_log(db)
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def create_tables(db: sqlite3.Connection) -> None:
    """Take the steps from the database's version to the newest one, in a transaction of the caller."""
    steps = migrations()
    for step in steps[_version(db, len(steps)) :]:
        for statement in _statements(step):
            db.execute(statement)
    db.execute(f"PRAGMA user_version = {len(steps)}")


def check_own(db: sqlite3.Connection) -> None:
    """Refuse a database if its tables, indexes, triggers and views are not exactly the ones that this program makes.

    A foreign trigger or view would run with the next write or read.

    Raises:
        NightsafeError: STORE, with the first foreign, altered or missing object; also when the database is empty, or
            newer than this program.
    """
    steps = migrations()
    _refuse_foreign(db, steps[: _version(db, len(steps))])
    refuse_empty(db)


def refuse_empty(db: sqlite3.Connection) -> None:
    """Refuse a database without any of this program's tables, which a migration would make a safe without content.

    Raises:
        NightsafeError: STORE.
    """
    if _version(db, len(migrations())) == 0 and not _schema_objects(db):
        raise NightsafeError(
            Code.STORE, "the database is empty, so this is no safe: restore a backup with nightsafe restore --force"
        )


def _refuse_foreign(db: sqlite3.Connection, steps: list[str]) -> None:
    """Refuse a database whose objects differ from the ones that the given steps make."""
    actual, expected = _schema_objects(db), _expected_objects("".join(steps))
    if actual == expected:
        return
    if ("table", UNFINISHED_COPY) in actual:
        raise NightsafeError(
            Code.STORE,
            "the database is an unfinished copy of another one: run the command that makes it again",
        )
    for (kind, name), text in sorted(actual.items()):
        if expected.get((kind, name)) != text:
            what = "has been altered" if (kind, name) in expected else "is not Nightsafe's"
            raise NightsafeError(Code.STORE, f"the database's {kind} {name[:_MAX_NAME_LENGTH]!r} {what}: {_WAY_OUT}")
    kind, name = min(expected.keys() - actual.keys())
    raise NightsafeError(Code.STORE, f"the database lacks the {kind} {name!r}: {_WAY_OUT}")


@lru_cache
def _expected_objects(script: str) -> dict[tuple[str, str], str]:
    """Return the objects of a new database after the given steps."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(script)
        return _schema_objects(db)


def _schema_objects(db: sqlite3.Connection) -> dict[tuple[str, str], str]:
    """Return a database's objects by kind and name, with their SQL without spaces and quotes.

    Different versions of SQLite write spaces and quotes differently. SQLite's own statistics are left out.
    """
    return {
        (str(kind), str(name)): f"{table}:{''.join(str(sql or '').split())}".replace('"', "")
        for kind, name, table, sql in db.execute(_SCHEMA_OBJECTS)
    }


def _version(db: sqlite3.Connection, newest: int) -> int:
    """Return the database's schema version; refuse an unknown version."""
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > newest:
        raise NightsafeError(
            Code.STORE,
            f"the database has schema version {version}, but this program knows only up to {newest}: "
            "use a newer program",
        )
    return version


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a script, keeping a trigger's body whole."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
