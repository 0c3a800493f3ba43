"""A server that the tests of this folder share."""

from collections.abc import Iterator

import pytest
from tests.postgres.server import PostgresServer


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Yield a server that many tests share; each makes its own roles and databases."""
    with PostgresServer() as server:
        yield server
