"""The official Python SDK, synchronous and asynchronous, configured by arguments and not by the environment."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from cloudflare import AsyncCloudflare, Cloudflare
from tests.clients.python_sdk.tools.settling import one_client
from tests.server import Server


@pytest.fixture
def client(server: Server) -> Iterator[Cloudflare]:
    """Yield the synchronous client."""
    with Cloudflare(api_token=server.safe.api_token, base_url=server.base_url) as made:
        yield made


@pytest.fixture(params=["sync", "async"])
async def either(request: pytest.FixtureRequest, server: Server) -> AsyncIterator[Any]:
    """Yield each client in turn; results go through `settled`."""
    async with one_client(request.param, Cloudflare, AsyncCloudflare, server) as client:
        yield client
