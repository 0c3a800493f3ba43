"""Our own clients, blocking and asynchronous, set up by arguments and nothing from the environment."""

import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from tests.server import Server

from nightsafe.client import AsyncNightsafe, Nightsafe


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of the machine's."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def client(server: Server) -> Iterator[Nightsafe]:
    """The blocking client."""
    with Nightsafe(api_token=server.safe.api_token, base_url=server.base_url) as made:
        yield made


@pytest.fixture(params=["sync", "async"])
async def either(request: pytest.FixtureRequest, server: Server) -> AsyncIterator[Any]:
    """Each client in turn; results go through `settled`."""
    if request.param == "sync":
        with Nightsafe(api_token=server.safe.api_token, base_url=server.base_url) as made:
            yield made
        return
    async with AsyncNightsafe(api_token=server.safe.api_token, base_url=server.base_url) as made_async:
        yield made_async
