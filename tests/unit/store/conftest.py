"""An SQLite store in a folder of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nightsafe.store.sqlite import SqliteStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the store is."""
    return tmp_path / "safe" / "store.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    """An empty store, closed after the test."""
    store = SqliteStore.open(path, create=True)
    yield store
    await store.close()
