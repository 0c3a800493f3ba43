"""The engines that the suite runs on."""

import shutil
from pathlib import Path
from typing import Protocol

from tests.postgres.databases import Databases
from tests.stores import IDENTITY_KEY, SIGNING_KEY, open_store

from nightsafe.sealing.interfaces import NoteSigner
from nightsafe.store.interface import Store
from nightsafe.store.postgres.engine.address import parse
from nightsafe.store.postgres.store import PostgresStore


class Engine(Protocol):
    """The place of a store's data, which stays when the store is closed and opened again."""

    async def open(self, signer: NoteSigner = SIGNING_KEY) -> Store:
        """Open the store on this data, which is empty at first."""
        ...

    async def drop(self) -> None:
        """Remove the data, after the store was closed."""
        ...


class SqliteEngine:
    """One SQLite file in its own folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "safe" / "store.db"

    async def open(self, signer: NoteSigner = SIGNING_KEY) -> Store:
        """See `Engine.open`."""
        return open_store(self._path, signer=signer)

    async def drop(self) -> None:
        """See `Engine.drop`."""
        shutil.rmtree(self._path.parent, ignore_errors=True)


class PostgresEngine:
    """One database of a PostgreSQL server.

    Args:
        databases: the databases of the server.
        is_owner: whether the store's role owns the tables; otherwise it has only the rights to serve.
    """

    def __init__(self, databases: Databases, *, is_owner: bool = False) -> None:
        self._databases = databases
        self._is_owner = is_owner
        self._url = ""

    async def open(self, signer: NoteSigner = SIGNING_KEY) -> Store:
        """See `Engine.open`."""
        self._url = self._url or await self._databases.create(for_owner=self._is_owner)
        return await PostgresStore.open(parse(self._url), IDENTITY_KEY, signer=signer)

    async def drop(self) -> None:
        """See `Engine.drop`."""
        if self._url:
            await self._databases.drop(self._url)
