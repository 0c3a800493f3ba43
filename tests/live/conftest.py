"""Fixtures of the live tests: safes that `nightsafe run` serves and delivers."""

from collections.abc import Iterator

import pytest
from tests.clients.wire.talk import Wire
from tests.live.tools.running import Run
from tests.server import Safe, make_safe


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Yield a run that many tests share; check at its end that its log has no unforeseen error."""
    with Run(make_safe(tmp_path_factory.mktemp("live"))) as running:
        yield running
    log = running.stderr.read_text()
    assert "unforeseen" not in log, log
    assert "Traceback" not in log, log


@pytest.fixture
def wire(live: Run) -> Iterator[Wire]:
    """Yield a client with the owner's token for the shared run."""
    with Wire.to(live) as client:
        yield client


@pytest.fixture
def own(safe: Safe) -> Iterator[Run]:
    """Yield a run for this test only."""
    with Run(safe) as running:
        yield running
