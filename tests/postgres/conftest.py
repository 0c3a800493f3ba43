"""A server that the tests of this folder share."""

from collections.abc import Iterator

import pytest
from tests.postgres.configured_server import ConfiguredServer, running_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[ConfiguredServer]:
    """Yield a server that many tests share; each makes its own roles and databases."""
    with running_server() as server:
        yield server
