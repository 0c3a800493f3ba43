"""The engines that the suite runs on."""

from pathlib import Path
from typing import Protocol

from tests.stores import open_store

from nightsafe.store.interface import Store


class Engine(Protocol):
    """The place of a store's data, which stays when the store is closed and opened again."""

    async def open(self) -> Store:
        """Open the store on this data, which is empty at first."""
        ...


class SqliteEngine:
    """One SQLite file in its own folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "safe" / "store.db"

    async def open(self) -> Store:
        """See `Engine.open`."""
        return open_store(self._path)


ENGINES: dict[str, type[SqliteEngine]] = {"sqlite": SqliteEngine}
