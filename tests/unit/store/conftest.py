"""An SQLite store in its own folder."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.stores import open_store

from nightsafe.store.sqlite import SqliteStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the store's path."""
    return tmp_path / "safe" / "store.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    """Yield an empty store, and close it after the test."""
    store = open_store(path)
    yield store
    await store.close()
