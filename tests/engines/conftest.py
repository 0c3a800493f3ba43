"""The `store` fixture: every test of this folder runs on every engine."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.engines.tools.engine import ENGINES, Engine

from nightsafe.store.interface import Store


@pytest.fixture(params=sorted(ENGINES))
def engine_name(request: pytest.FixtureRequest) -> str:
    """Return the name of each engine in turn."""
    return str(request.param)


@pytest.fixture
def engine(engine_name: str, tmp_path: Path) -> Engine:
    """Return an engine without data."""
    return ENGINES[engine_name](tmp_path)


@pytest.fixture
async def store(engine: Engine) -> AsyncIterator[Store]:
    """Yield an empty store, and close it after the test."""
    store = await engine.open()
    yield store
    await store.close()
