"""A PostgreSQL server, empty databases, and data directories with rows of every kind."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.postgres.copying.tools.commands import new_database
from tests.postgres.databases import Databases
from tests.postgres.server import PostgresServer
from tests.unit.audit.tools.filled_safe import fill_directory


@pytest.fixture(scope="session")
def postgres() -> Iterator[Databases]:
    """Yield the databases of a server."""
    with PostgresServer() as server:
        yield Databases(server)


@pytest.fixture
def database(postgres: Databases) -> str:
    """Return the address of an empty database."""
    return new_database(postgres)


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data directory with rows of every kind, which no test alters."""
    return fill_directory(tmp_path_factory.mktemp("filled"))


@pytest.fixture
def data(filled: Path, tmp_path: Path) -> Path:
    """Return a copy of the data directory, with its rows in a SQLite file."""
    return Path(shutil.copytree(filled, tmp_path / "data"))
