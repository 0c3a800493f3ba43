"""The schema's version, and the migration from older versions."""

import os
from importlib import resources
from typing import TYPE_CHECKING, Final

from nightsafe.errors import Code, NightsafeError
from nightsafe.merkle.tree import Frontier
from nightsafe.store.rules.group_log import ORIGIN_PREFIX

if TYPE_CHECKING:
    from asyncpg import Connection

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS schema_version (id BIGINT PRIMARY KEY CHECK (id = 1), number BIGINT NOT NULL)
"""
_VERSION: Final = "SELECT number FROM schema_version"
_EXISTS: Final = """
SELECT count(*) > 0 FROM information_schema.tables
WHERE table_schema = current_schema() AND table_name = 'schema_version'
"""
_KEEP: Final = """
INSERT INTO schema_version (id, number) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET number = excluded.number
"""
_START: Final = """
INSERT INTO log_head (id, origin, size, frontier, checkpoint, archived) VALUES (1, $1, 0, $2, ''::bytea, 0)
ON CONFLICT DO NOTHING
"""


def migrations() -> list[str]:
    """Return the SQL of each migration; the first makes version 1 from an empty schema."""
    folder = resources.files("nightsafe.store.postgres.migrations")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return [file.read_text(encoding="utf-8") for file in files]


async def schema_version(db: "Connection") -> int:
    """Return the number of the newest migration that was made; 0 for an empty schema."""
    return int(await db.fetchval(_VERSION)) if await db.fetchval(_EXISTS) else 0


async def migrate(db: "Connection") -> None:
    """Make the migrations that are missing, in one transaction."""
    steps = migrations()
    async with db.transaction():
        await db.execute(_TABLE)
        await db.execute("LOCK TABLE schema_version IN ACCESS EXCLUSIVE MODE")
        version = int(await db.fetchval(_VERSION) or 0)
        refuse_newer(version, len(steps))
        for step in steps[version:]:
            await db.execute(step)
        await db.execute(_KEEP, len(steps))
        await db.execute(_START, ORIGIN_PREFIX + os.urandom(16).hex(), Frontier().encode())


async def check_version(db: "Connection") -> None:
    """Refuse a database whose schema this program does not serve.

    Raises:
        NightsafeError: STORE.
    """
    version, newest = await schema_version(db), len(migrations())
    refuse_newer(version, newest)
    if version == 0:
        raise NightsafeError(Code.STORE, "the database has no safe: create one with nightsafe init --store")
    if version < newest:
        raise NightsafeError(
            Code.STORE,
            f"the database has schema version {version}, and this program needs {newest}: run nightsafe migrate"
            " with the address of the role that owns the tables",
        )


def refuse_newer(version: int, newest: int) -> None:
    """Refuse a schema that is newer than this program.

    Raises:
        NightsafeError: STORE.
    """
    if version > newest:
        raise NightsafeError(
            Code.STORE,
            f"the database has schema version {version}, but this program knows only up to {newest}: "
            "use a newer program",
        )
