"""A safe that is served and delivered, by `nightsafe run`."""

from collections.abc import Iterator

import pytest
from tests.clients.wire.talk import Wire
from tests.live.tools.running import Run
from tests.server import Safe, make_safe


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """One that many tests share; at its end it has met nothing unforeseen."""
    with Run(make_safe(tmp_path_factory.mktemp("live"))) as running:
        yield running
    log = running.stderr.read_text()
    assert "unforeseen" not in log, log
    assert "Traceback" not in log, log


@pytest.fixture
def wire(live: Run) -> Iterator[Wire]:
    """The owner of the shared one."""
    with Wire.to(live) as client:
        yield client


@pytest.fixture
def own(safe: Safe) -> Iterator[Run]:
    """One that only this test uses."""
    with Run(safe) as running:
        yield running
