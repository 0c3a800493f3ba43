"""Both clients over a recording transport, without the environment's settings and without waiting."""

import os

import pytest
from tests.unit.client.recorder import Either

import nightsafe.client.aio.sender
import nightsafe.client.blocking.sender


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the machine's proxies and certificates from the environment."""
    for name in list(os.environ):
        if name.startswith("SSL_CERT") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the seconds that the clients would have waited; the clients do not wait."""
    seconds: list[float] = []

    async def note(delay: float) -> None:
        """Record a delay instead of the asynchronous client's sleep."""
        seconds.append(delay)

    monkeypatch.setattr(nightsafe.client.blocking.sender, "sleep", seconds.append)
    monkeypatch.setattr(nightsafe.client.aio.sender, "sleep", note)
    return seconds


@pytest.fixture(params=["sync", "async"])
def either(request: pytest.FixtureRequest, waits: list[float]) -> Either:
    """Return each client in turn."""
    del waits
    return Either(asynchronous=request.param == "async")
