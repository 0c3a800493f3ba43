"""The schema's version, and the way from an older one."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import lru_cache
from importlib import resources
from typing import Final

from nightsafe.errors import Code, NightsafeError

_LONGEST: Final = 64
_WAY_OUT: Final = "somebody has written to it by another way; take a backup from before, or look into what that does"
_PARTS: Final = "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite!_stat_' ESCAPE '!'"


def migrations() -> list[str]:
    """The SQL of each step; the first makes version 1 of an empty file."""
    folder = resources.files("nightsafe.store.sqlite.migrations")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return [file.read_text(encoding="utf-8") for file in files]


def migrate(db: sqlite3.Connection) -> None:
    """Bring a database to the newest schema, all steps in one transaction.

    Raises:
        NightsafeError: STORE, when the database is newer than this program, or holds what that has not made.
        sqlite3.Error: and nothing is changed, when a step fails.
    """
    steps = migrations()
    version = _version(db, len(steps))
    _refuse_foreign(db, steps[:version])
    if version == len(steps):
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


def check_own(db: sqlite3.Connection) -> None:
    """Refuse a database whose tables, indexes, triggers and views are not those that this program makes.

    A trigger or a view of somebody else's would be carried out with the next write or read.

    Raises:
        NightsafeError: STORE, with the first that is foreign, altered or missing; also of a newer program's.
    """
    steps = migrations()
    _refuse_foreign(db, steps[: _version(db, len(steps))])


def _refuse_foreign(db: sqlite3.Connection, steps: list[str]) -> None:
    """Refuse what is not as some steps make it."""
    there, expected = _parts(db), _expected("".join(steps))
    if there == expected:
        return
    for (kind, name), text in sorted(there.items()):
        if expected.get((kind, name)) != text:
            what = "has been altered" if (kind, name) in expected else "is none of Nightsafe's"
            raise NightsafeError(Code.STORE, f"the database's {kind} {name[:_LONGEST]!r} {what}: {_WAY_OUT}")
    kind, name = min(expected.keys() - there.keys())
    raise NightsafeError(Code.STORE, f"the database lacks the {kind} {name!r}: {_WAY_OUT}")


@lru_cache
def _expected(script: str) -> dict[tuple[str, str], str]:
    """What a new database is made of after some steps."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(script)
        return _parts(db)


def _parts(db: sqlite3.Connection) -> dict[tuple[str, str], str]:
    """What a database is made of, by kind and name: what was said to make it, but for spaces and quotes.

    Those are written differently by different versions of SQLite. Its own statistics are left out.
    """
    return {
        (str(kind), str(name)): f"{table}:{''.join(str(sql or '').split())}".replace('"', "")
        for kind, name, table, sql in db.execute(_PARTS)
    }


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
