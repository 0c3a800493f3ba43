"""Fixtures for tests of the command line."""

from pathlib import Path

import pytest
from tests.clients.cli.tools.user_environment import Desk
from tests.server import Server


@pytest.fixture
def desk(server: Server, script: str, tmp_path: Path) -> Desk:
    """Return a desk with a script without bindings on the shared server."""
    return Desk(server, script, tmp_path)
