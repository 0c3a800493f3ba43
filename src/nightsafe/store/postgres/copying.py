"""A PostgreSQL database as the source or the target of a copy between engines.

Rows are read in pages by their keys, and written by COPY FROM STDIN in the binary format, which CockroachDB and
YugabyteDB take, too.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, Self

import asyncpg

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.copying.tables import Key, Row, Table
from nightsafe.store.postgres.engine import schema
from nightsafe.store.postgres.engine.address import Address
from nightsafe.store.postgres.engine.connection import PATIENCE, connect_within
from nightsafe.store.postgres.engine.failures import store_error
from nightsafe.store.sqlite.engine.schema import UNFINISHED_COPY

if TYPE_CHECKING:
    from asyncpg import Connection

_PART_BYTES: Final = 32 << 20
_PART_ROWS: Final = 5000
NO_LIMIT: Final = "SET idle_in_transaction_session_timeout = 0"
"""A snapshot waits while its rows are written elsewhere."""

_TABLES: Final = "SELECT table_name::text FROM information_schema.tables WHERE table_schema = current_schema()"
_CREATE_MARK: Final = f"CREATE TABLE {UNFINISHED_COPY} (origin TEXT PRIMARY KEY, run TEXT NOT NULL)"


class PostgresSource:
    """A PostgreSQL database to copy from. Use `open` to open one.

    Args:
        db: a connection in a transaction that sees one moment.
    """

    def __init__(self, db: "Connection") -> None:
        self._db = db
        self._rows: dict[str, int] = {}

    @classmethod
    @asynccontextmanager
    async def open(cls, address: Address) -> AsyncIterator[Self]:
        """Connect, and look at the database as it is at this moment, while others go on to write to it.

        Raises:
            NightsafeError: INVALID, when it has no safe, or one that is not finished; STORE, when it cannot be used
                or has another schema.
        """
        async with connected(address) as db:
            await db.execute(NO_LIMIT)
            async with db.transaction(isolation="repeatable_read", readonly=True):
                await schema.check_version(db)
                yield cls(db)

    async def origin(self) -> str:
        """See `Source.origin`."""
        return str(await self._db.fetchval("SELECT origin FROM log_head"))

    async def log_size(self) -> int:
        """See `Source.log_size`."""
        return int(await self._db.fetchval("SELECT size FROM log_head"))

    async def count(self, table: Table) -> int:
        """See `Source.count`."""
        return int(await self._db.fetchval(f"SELECT count(*) FROM {table.name}"))  # noqa: S608 - our own names

    async def part(self, table: Table, after: Key) -> list[Row]:
        """See `Source.part`."""
        if table.name not in self._rows:
            self._rows[table.name] = await _rows_of_part(self._db, table)
        return await _select(self._db, table, after, (), self._rows[table.name])


class PostgresTarget:
    """A PostgreSQL database to copy to. Use `open` to open one.

    Args:
        db: a connection of the role that owns the tables.
        run: what this process has written into the mark.
    """

    def __init__(self, db: "Connection", run: str) -> None:
        self._db = db
        self._run = run

    @classmethod
    @asynccontextmanager
    async def open(cls, address: Address, origin: str, command: str) -> AsyncIterator[Self]:
        """Connect to an empty database, and make the tables and the mark; or to the unfinished copy of the same safe.

        Args:
            address: the address, with the role that will own the tables.
            origin: the name of the log of the safe that is copied.
            command: the name of the command, for messages about the unfinished copy.

        Raises:
            NightsafeError: INVALID, when the database has something else; STORE, when it cannot be used.
        """
        run = os.urandom(8).hex()
        async with connected(address) as db:
            async with db.transaction():
                await _begin(db, origin, run, command)
            yield cls(db, run)

    async def between(self, table: Table, after: Key, last: Key, most: int) -> list[Row]:
        """See `Target.between`."""
        return await _select(self._db, table, after, last, most)

    async def replace(self, table: Table, after: Key, last: Key, rows: list[Row]) -> None:
        """See `Target.replace`."""
        async with self._db.transaction():
            await self._refuse_other_run()
            condition = table.range(after, last, "${}")
            await self._db.execute(f"DELETE FROM {table.name} WHERE {condition}", *after, *last)  # noqa: S608 - our own names
            await self._db.copy_records_to_table(table.name, records=rows, columns=table.columns)

    async def finish(self) -> None:
        """See `Target.finish`."""
        async with self._db.transaction():
            await self._refuse_other_run()
            await self._db.execute(f"DROP TABLE {UNFINISHED_COPY}")
            await schema.finish(self._db)

    async def _refuse_other_run(self) -> None:
        """In a transaction, refuse to go on if another process has begun to copy to the database."""
        sql = f"SELECT 1 FROM {UNFINISHED_COPY} WHERE run = $1 FOR UPDATE"  # noqa: S608 - our own name
        if await self._db.fetchval(sql, self._run) is None:
            raise NightsafeError(
                Code.UNAVAILABLE, "another process has begun to copy to this database, so this one ends"
            )


async def _begin(db: "Connection", origin: str, run: str, command: str) -> None:
    """In a transaction, create the tables in an empty database, or take over an unfinished copy of the same safe."""
    names = {name for (name,) in await db.fetch(_TABLES)}
    if not names:
        await schema.create(db, command)
        await db.execute(_CREATE_MARK)
        await db.execute(f"INSERT INTO {UNFINISHED_COPY} VALUES ($1, $2)", origin, run)  # noqa: S608 - our own name
        return
    if UNFINISHED_COPY not in names:
        await _refuse_finished(db, origin)
        raise NightsafeError(
            Code.INVALID, "the database has tables already, which are not overwritten: name an empty database"
        )
    if await db.fetchval(f"SELECT origin FROM {UNFINISHED_COPY} FOR UPDATE") != origin:  # noqa: S608 - our own name
        raise NightsafeError(
            Code.INVALID,
            "the database is an unfinished copy of another safe: name an empty database, or drop this one",
        )
    await db.execute(f"UPDATE {UNFINISHED_COPY} SET run = $1", run)  # noqa: S608 - our own name


async def _refuse_finished(db: "Connection", origin: str) -> None:
    """Refuse a database that is the same safe already: its copy may lack what was written after it."""
    with suppress(asyncpg.PostgresError):
        size = await db.fetchval("SELECT size FROM log_head WHERE origin = $1", origin)
        if size is not None:
            raise NightsafeError(
                Code.INVALID,
                f"the database is this safe already, with the first {size} entries of its log, and lacks what was"
                " written after them: to copy the safe again, drop the database and create another one",
            )


async def _rows_of_part(db: "Connection", table: Table) -> int:
    """Return how many rows of a table fit in a part. Lengths are read, not the values."""
    sizes = " + ".join(f"coalesce(octet_length({column}), 0)" for column in table.sized) or "0"
    largest = await db.fetchval(f"SELECT max({sizes}) FROM {table.name}") or 0  # noqa: S608 - our own names
    return max(1, min(_PART_ROWS, _PART_BYTES // max(1, largest)))


async def _select(db: "Connection", table: Table, after: Key, last: Key, most: int) -> list[Row]:
    """Return at most so many rows after a key and up to another one."""
    columns, key, condition = ", ".join(table.columns), ", ".join(table.key), table.range(after, last, "${}")
    sql = f"SELECT {columns} FROM {table.name} WHERE {condition} ORDER BY {key} LIMIT {most}"  # noqa: S608 - our own names
    return [tuple(row) for row in await db.fetch(sql, *after, *last)]


@asynccontextmanager
async def connected(address: Address) -> AsyncIterator["Connection"]:
    """Open a connection.

    Raises:
        NightsafeError: STORE, when the server cannot be used; NO_PRIMARY, when no primary answers.
    """
    try:
        db = await connect_within(address, PATIENCE)
        try:
            yield db
        finally:
            await db.close()
    except (asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionError, TimeoutError) as error:
        raise store_error(error) from None
