"""The engines that the suite runs on."""

from pathlib import Path
from typing import Protocol

from nightsafe.store.interface import Store
from nightsafe.store.sqlite import SqliteStore


class Engine(Protocol):
    """Where a store's data are, through its closing and opening again."""

    async def open(self) -> Store:
        """The store on these data, empty at first."""
        ...


class SqliteEngine:
    """One SQLite file in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "safe" / "store.db"

    async def open(self) -> Store:
        """See `Engine.open`."""
        return SqliteStore.open(self._path, create=True)


ENGINES: dict[str, type[SqliteEngine]] = {"sqlite": SqliteEngine}
