"""Both clients over a transport of the test's own, with nothing from the environment and no waiting."""

import os

import pytest
from tests.unit.client.recorder import Either

import nightsafe.client.aio.sender
import nightsafe.client.blocking.sender


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxies or certificates of the machine's."""
    for name in list(os.environ):
        if name.startswith("SSL_CERT") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the clients would have waited; none of them passes."""
    seconds: list[float] = []

    async def note(delay: float) -> None:
        """In place of the asynchronous client's sleep."""
        seconds.append(delay)

    monkeypatch.setattr(nightsafe.client.blocking.sender, "sleep", seconds.append)
    monkeypatch.setattr(nightsafe.client.aio.sender, "sleep", note)
    return seconds


@pytest.fixture(params=["sync", "async"])
def either(request: pytest.FixtureRequest, waits: list[float]) -> Either:
    """Each client in turn."""
    del waits
    return Either(asynchronous=request.param == "async")
