"""Replaces the MACs of scripts while no node writes."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from nightsafe.store.postgres.copying import NO_LIMIT, connected
from nightsafe.store.postgres.engine.address import Address
from nightsafe.store.postgres.engine.texts import columns

if TYPE_CHECKING:
    from asyncpg import Connection

_STOP_WRITES: Final = "SELECT size FROM log_head FOR UPDATE"
_REPLACE: Final = """
UPDATE scripts s SET mac = v.mac
FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[]) v (account_id, namespace, name, mac)
WHERE s.account_id = v.account_id AND s.namespace = v.namespace AND s.name = v.name AND s.mac <> v.mac
"""


class ScriptMacs:
    """The MACs of all scripts, in a transaction that keeps all nodes from writing.

    Args:
        db: the connection.
    """

    def __init__(self, db: "Connection") -> None:
        self._db = db

    async def replace(self, macs: Sequence[tuple[str, str, str, bytes]]) -> None:
        """Give scripts, by account, namespace and name, these MACs."""
        await self._db.execute(_REPLACE, *columns(macs))


@asynccontextmanager
async def without_writes(address: Address) -> AsyncIterator[ScriptMacs]:
    """Keep all nodes from writing, and commit what the block has replaced.

    Args:
        address: the address, with the role that owns the tables.

    Raises:
        NightsafeError: STORE, when the database cannot be used; NO_PRIMARY.
    """
    async with connected(address) as db:
        await db.execute(NO_LIMIT)
        async with db.transaction():
            await db.fetchval(_STOP_WRITES)
            yield ScriptMacs(db)
