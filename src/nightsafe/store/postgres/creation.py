"""Makes the tables of a new safe, all or nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncpg

from nightsafe.store.postgres.engine import schema
from nightsafe.store.postgres.engine.address import Address
from nightsafe.store.postgres.engine.connection import connect_within


@asynccontextmanager
async def new_tables(address: Address, patience: float, command: str) -> AsyncIterator[None]:
    """Make the tables of a new safe. At the end of the block the safe is whole, or the tables are removed.

    If neither is possible because the connection is lost, the next run of the same command removes them.

    Args:
        address: the address of an empty database, with the role that is to own the tables.
        patience: seconds to wait for a primary.
        command: the name of the command that makes the safe.

    Raises:
        NightsafeError: as for `connect_within` and `schema.create`.
    """
    db = await connect_within(address, patience)
    try:
        await schema.create(db, command)
        try:
            yield
        except BaseException:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await schema.undo(db, command)
            raise
        await schema.finish(db)
    finally:
        await db.close()
