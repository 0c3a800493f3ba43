"""Fixtures for tests of the command line."""

from pathlib import Path

import pytest
from tests.clients.cli.tools.user_environment import UserEnvironment
from tests.server import Server


@pytest.fixture
def user(server: Server, script: str, tmp_path: Path) -> UserEnvironment:
    """Return a user's environment with a script without bindings on the shared server."""
    return UserEnvironment(server, script, tmp_path)
