"""The `store` fixture: every test of this folder runs on every engine."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.engines.tools.engine import ENGINES, Engine

from nightsafe.store.interface import Store


@pytest.fixture(params=sorted(ENGINES))
def engine_name(request: pytest.FixtureRequest) -> str:
    """Each engine in turn."""
    return str(request.param)


@pytest.fixture
def engine(engine_name: str, tmp_path: Path) -> Engine:
    """An engine with no data."""
    return ENGINES[engine_name](tmp_path)


@pytest.fixture
async def store(engine: Engine) -> AsyncIterator[Store]:
    """An empty store, closed after the test."""
    store = await engine.open()
    yield store
    await store.close()
