"""What the tests of the command line share."""

import copy
import logging
from pathlib import Path

import pytest
from tests.clients.cli.desk import Desk
from tests.server import Server


@pytest.fixture
def desk(server: Server, script: str, tmp_path: Path) -> Desk:
    """A desk with a script without bindings on the shared server."""
    return Desk(server, script, tmp_path)


@pytest.fixture(autouse=True)
def _notices(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command in this process makes of the client's log is put back: other tests read it."""
    log = logging.getLogger("nightsafe.client")
    for name in ("handlers", "level", "propagate"):
        monkeypatch.setattr(log, name, copy.copy(getattr(log, name)))
