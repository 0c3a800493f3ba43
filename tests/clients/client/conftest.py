"""Our own clients, synchronous and asynchronous, configured by arguments and not by the environment."""

import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from tests.clients.python_sdk.tools.settling import one_client
from tests.server import Server

from nightsafe.client import AsyncNightsafe, Nightsafe


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove this machine's proxy settings."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def client(server: Server) -> Iterator[Nightsafe]:
    """Yield the synchronous client."""
    with Nightsafe(api_token=server.safe.api_token, base_url=server.base_url) as made:
        yield made


@pytest.fixture(params=["sync", "async"])
async def either(request: pytest.FixtureRequest, server: Server) -> AsyncIterator[Any]:
    """Yield each client in turn; results go through `settled`."""
    async with one_client(request.param, Nightsafe, AsyncNightsafe, server) as client:
        yield client
