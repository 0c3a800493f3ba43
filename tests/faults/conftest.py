"""The fixture that the tests of this folder share."""

from collections.abc import Iterator

import pytest
from tests.faults.failing_sqlite import Breaker, BrokenConnection

from nightsafe.store.sqlite.engine import connection


@pytest.fixture
def breaker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Breaker]:
    """Yield the breaker of every connection that a store opens."""
    monkeypatch.setattr(connection, "FACTORY", BrokenConnection)
    monkeypatch.setattr(BrokenConnection, "breaker", Breaker())
    yield BrokenConnection.breaker
    BrokenConnection.breaker.heal()
