"""Databases of one server: each test gets a copy of one that was migrated once."""

from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, Final

import asyncpg
from tests.postgres.server import PostgresServer

from nightsafe.store.postgres.engine.grants import grants
from nightsafe.store.postgres.engine.schema import migrate

_TEMPLATE: Final = "empty_safe"
_SERVING: Final = "serving"
"""The role of the stores, with the rights to serve only; the superuser owns the tables."""

_END_LISTENERS: Final = """
SELECT count(pg_terminate_backend(pid, 60000)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
AND (query = 'SELECT size FROM log_head' OR query LIKE '%pg_notify($1%')
"""
"""The second query is of nodes' announcements, and both are executed only by connections that listen."""


class Databases:
    """The databases of a server.

    Args:
        server: the server.
    """

    def __init__(self, server: PostgresServer) -> None:
        self.server: Final = server
        self._numbers = count()
        self._has_template = False

    async def create(self, *, for_owner: bool = False) -> str:
        """Create a database with the tables of a safe and no rows, and return its address.

        Args:
            for_owner: return the address for the owner of the tables, in place of that for the role that serves.
        """
        if not self._has_template:
            await self._execute(f"CREATE DATABASE {_TEMPLATE}")
            await _in(self.server.url(_TEMPLATE), migrate)
            await self._execute(f"CREATE ROLE {_SERVING} LOGIN")
            await _in(self.server.url(_TEMPLATE), lambda db: db.execute(grants(_SERVING, _TEMPLATE)))
            self._has_template = True
        name = f"safe_{next(self._numbers)}"
        await self._execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE} STRATEGY FILE_COPY")
        return self.server.url(name) if for_owner else self.server.url(name, _SERVING)

    async def create_empty(self) -> str:
        """Create a database without tables, and return its address."""
        name = f"safe_{next(self._numbers)}"
        await self._execute(f"CREATE DATABASE {name}")
        return self.server.url(name)

    async def drop(self, url: str) -> None:
        """Drop a database, with the connections to it."""
        await self._execute(f"DROP DATABASE {_name(url)} WITH (FORCE)")

    async def end_listeners(self, url: str) -> int:
        """End the connections to a database with which nodes listen; return how many have ended."""
        return int(await _in(self.server.url(_name(url)), lambda db: db.fetchval(_END_LISTENERS)))

    async def _execute(self, sql: str) -> None:
        """Execute a statement outside every database of a safe."""
        await _in(self.server.url(), lambda db: db.execute(sql))


def _name(url: str) -> str:
    """Return the name of the database in an address."""
    return url.rsplit("/", 1)[-1].split("?", maxsplit=1)[0]


async def _in(url: str, work: Callable[[asyncpg.Connection], Awaitable[Any]]) -> Any:
    """Return the result of work in a connection of its own."""
    db = await asyncpg.connect(url.split("?", maxsplit=1)[0], ssl="disable")
    try:
        return await work(db)
    finally:
        await db.close()
