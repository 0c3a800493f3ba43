"""Migrates the schema of a safe in PostgreSQL."""

import asyncio
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from nightsafe.store.postgres.engine.address import Address


class SchemaVersion(NamedTuple):
    """The version of a database's schema, and the newest one that this program knows."""

    schema: int
    newest_schema: int


def migrate_schema(address: "Address", patience: float, *, status: bool) -> SchemaVersion:
    """Migrate a database to the newest schema, or only look. Return its version.

    Args:
        address: the address, with the role that owns the tables.
        patience: seconds to wait for a primary.
        status: only look.

    Raises:
        NightsafeError: INVALID, when there is no safe; STORE, when the database cannot be used, or is newer than this
            program; NO_PRIMARY.
    """
    return asyncio.run(_migrate(address, patience, status=status))


def schema_words(engine: str, version: int, newest: int) -> str:
    """Return the version of an engine's schema in words, with the newest one if it is older."""
    return f"{engine}'s schema has version {version}{f' of {newest}' if version < newest else ''}"


async def _migrate(address: "Address", patience: float, *, status: bool) -> SchemaVersion:
    """Migrate, or only look. Return the version."""
    from nightsafe.errors import Code, NightsafeError
    from nightsafe.store.postgres.engine import schema
    from nightsafe.store.postgres.engine.connection import connect_within

    db = await connect_within(address, patience)
    try:
        if (await schema.state_of(db)).version == 0:
            raise NightsafeError(Code.INVALID, f"{address} has no safe; create one with: nightsafe init --store")
        if not status:
            await schema.migrate(db)
        return SchemaVersion((await schema.state_of(db)).version, len(schema.migrations()))
    finally:
        await db.close()
