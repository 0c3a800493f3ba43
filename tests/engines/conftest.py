"""The `store` fixture: every test of this folder runs on every engine."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from tempfile import mkdtemp

import pytest
from tests.engines.tools.engine import Engine, PostgresEngine, SqliteEngine
from tests.postgres.databases import Databases

from nightsafe.store.interface import Store


@pytest.fixture(params=[pytest.param("postgres", marks=pytest.mark.heavy), "sqlite"])
def engine_name(request: pytest.FixtureRequest) -> str:
    """Return the name of each engine in turn."""
    return str(request.param)


@pytest.fixture
def is_owner() -> bool:
    """Return whether a store's role in PostgreSQL owns the tables; the rights to serve are enough for most tests."""
    return False


@pytest.fixture
def new_engine(
    engine_name: str,
    is_owner: bool,  # noqa: FBT001 - a fixture
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> Callable[[], Engine]:
    """Return a call that makes an engine without data."""
    if engine_name == "sqlite":
        return lambda: SqliteEngine(Path(mkdtemp(dir=tmp_path)))
    databases: Databases = request.getfixturevalue("databases")
    return lambda: PostgresEngine(databases, is_owner=is_owner)


@pytest.fixture
async def engine(new_engine: Callable[[], Engine]) -> AsyncIterator[Engine]:
    """Yield an engine without data."""
    engine = new_engine()
    yield engine
    await engine.drop()


@pytest.fixture
async def store(engine: Engine) -> AsyncIterator[Store]:
    """Yield an empty store, and close it after the test."""
    store = await engine.open()
    yield store
    await store.close()
