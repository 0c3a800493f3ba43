"""The official TypeScript SDK, in one Node process for all tests."""

from collections.abc import Iterator

import pytest
from tests.clients.node.tools import TypeScript
from tests.server import Server


@pytest.fixture(scope="session")
def typescript(server: Server) -> Iterator[TypeScript]:
    """Yield the SDK, configured for the shared server."""
    with TypeScript(server) as running:
        yield running
