"""A SQLite file as the source or the target of a copy between engines."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final, Self

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.copying.tables import Key, Row, Table
from nightsafe.store.sqlite.engine.connection import create_file, store_error
from nightsafe.store.sqlite.engine.schema import UNFINISHED_COPY, create_tables

_PART_BYTES: Final = 16 << 20
_PART_ROWS: Final = 5000
_WAIT_SECONDS: Final = 10.0
_CREATE_MARK: Final = f"CREATE TABLE {UNFINISHED_COPY} (origin TEXT NOT NULL, run TEXT NOT NULL)"
_TRIGGERS: Final = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"


class SqliteSource:
    """A SQLite file to copy from.

    Args:
        db: a connection in a read transaction, to a database of the newest schema.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    async def origin(self) -> str:
        """See `Source.origin`."""
        return str(self._db.execute("SELECT origin FROM log_head").fetchone()[0])

    async def log_size(self) -> int:
        """See `Source.log_size`."""
        return int(self._db.execute("SELECT size FROM log_head").fetchone()[0])

    async def count(self, table: Table) -> int:
        """See `Source.count`."""
        return int(self._db.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0])  # noqa: S608 - our own names

    async def part(self, table: Table, after: Key) -> list[Row]:
        """See `Source.part`."""
        rows: list[Row] = []
        size = 0
        for row in self._db.execute(_select(table, after, ()), after):
            rows.append(row)
            size += sum(len(value) for value in row if isinstance(value, bytes | str))
            if size >= _PART_BYTES or len(rows) == _PART_ROWS:
                break
        return rows


class SqliteTarget:
    """A SQLite file to copy to. Use `open` to open one.

    Args:
        db: a connection in autocommit mode.
        path: the file.
        run: what this process has written into the mark.
    """

    def __init__(self, db: sqlite3.Connection, path: Path, run: str) -> None:
        self._db = db
        self._path = path
        self._run = run

    @classmethod
    @contextmanager
    def open(cls, path: Path, origin: str, *, durable: bool = True) -> Iterator[Self]:
        """Create a file with the tables and the mark, or open the unfinished copy of the same safe.

        Args:
            path: the file.
            origin: the name of the log of the safe that is copied.
            durable: whether each part of the copy is on the disk before the next one is written.

        Raises:
            NightsafeError: INVALID, when the file is something else; STORE, when it cannot be used.
        """
        run = os.urandom(8).hex()
        try:
            create_file(path)
            uri = f"{path.absolute().as_uri()}?mode=rw"
            with closing(sqlite3.connect(uri, uri=True, timeout=_WAIT_SECONDS, isolation_level=None)) as db:
                db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")
                db.execute("PRAGMA trusted_schema = OFF")
                db.execute("PRAGMA secure_delete = ON")
                with _writing(db):
                    _begin(db, path, origin, run)
                yield cls(db, path, run)
        except sqlite3.Error as error:
            raise store_error(error, path) from error

    @property
    def db(self) -> sqlite3.Connection:
        """The connection."""
        return self._db

    async def between(self, table: Table, after: Key, last: Key, most: int) -> list[Row]:
        """See `Target.between`."""
        return self._db.execute(f"{_select(table, after, last)} LIMIT {most}", after + last).fetchall()

    async def replace(self, table: Table, after: Key, last: Key, rows: list[Row]) -> None:
        """See `Target.replace`."""
        values = ", ".join("?" * len(table.columns))
        with _writing(self._db):
            self._refuse_other_run()
            self._db.execute(f"DELETE FROM {table.name} WHERE {table.range(after, last, '?{}')}", after + last)  # noqa: S608 - our own names
            insert = f"INSERT INTO {table.name} ({', '.join(table.columns)}) VALUES ({values})"  # noqa: S608 - the same
            self._db.executemany(insert, rows)

    async def finish(self) -> None:
        """See `Target.finish`."""
        with self.finishing():
            pass

    @contextmanager
    def finishing(self) -> Iterator[None]:
        """Make the database whole, in a transaction that is committed at the end of the block."""
        with _writing(self._db):
            self._refuse_other_run()
            self._db.execute(f"DROP TABLE {UNFINISHED_COPY}")
            for _, sql in _own_triggers():
                self._db.execute(sql)
            yield

    def _refuse_other_run(self) -> None:
        """Refuse to go on if another process has begun to copy to the file."""
        if self._db.execute(f"SELECT 1 FROM {UNFINISHED_COPY} WHERE run = ?", (self._run,)).fetchone() is None:  # noqa: S608 - our own name
            raise NightsafeError(
                Code.UNAVAILABLE, f"another process has begun to copy to {self._path}, so this one ends"
            )


def _select(table: Table, after: Key, last: Key) -> str:
    """Return the query for the rows after a key and up to another one."""
    columns, key = ", ".join(table.columns), ", ".join(table.key)
    return f"SELECT {columns} FROM {table.name} WHERE {table.range(after, last, '?{}')} ORDER BY {key}"  # noqa: S608 - our own names


def _begin(db: sqlite3.Connection, path: Path, origin: str, run: str) -> None:
    """In a transaction, create the tables in an empty file, or take over an unfinished copy of the same safe.

    The triggers, which keep the log from being changed, are left out until the end.
    """
    names = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if not names:
        create_tables(db)
        for name, _ in db.execute(_TRIGGERS).fetchall():
            db.execute(f"DROP TRIGGER {name}")
        db.execute(_CREATE_MARK)
        db.execute(f"INSERT INTO {UNFINISHED_COPY} VALUES (?, ?)", (origin, run))  # noqa: S608 - our own name
        return
    if UNFINISHED_COPY not in names:
        _refuse_finished(db, path, origin)
        raise NightsafeError(
            Code.INVALID, f"{path} has a database already, which is not overwritten: name another file"
        )
    (known,) = db.execute(f"SELECT origin FROM {UNFINISHED_COPY}").fetchone()  # noqa: S608 - our own name
    if known != origin:
        raise NightsafeError(
            Code.INVALID, f"{path} is an unfinished copy of another safe: name another file, or remove this one"
        )
    db.execute(f"UPDATE {UNFINISHED_COPY} SET run = ?", (run,))  # noqa: S608 - our own name


def _refuse_finished(db: sqlite3.Connection, path: Path, origin: str) -> None:
    """Refuse a file that is the same safe already: its copy may lack what was written after it."""
    with suppress(sqlite3.Error):
        found = db.execute("SELECT size FROM log_head WHERE origin = ?", (origin,)).fetchone()
        if found is not None:
            raise NightsafeError(
                Code.INVALID,
                f"{path} is this safe already, with the first {found[0]} entries of its log, and lacks what was"
                " written after them: to copy the safe again, name another file, or move this one away",
            )


def _own_triggers() -> list[tuple[str, str]]:
    """Return the name and the SQL of each trigger of the newest schema."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        create_tables(db)
        return db.execute(_TRIGGERS).fetchall()


@contextmanager
def _writing(db: sqlite3.Connection) -> Iterator[None]:
    """Commit what the block writes, or undo it."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            with suppress(sqlite3.Error):  # the block's own error is the one to tell
                db.execute("ROLLBACK")
