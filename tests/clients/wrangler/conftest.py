"""A wrangler project for each test, with each version of wrangler."""

from pathlib import Path

import pytest
from tests.clients.node.tools import NEWER, OLDER
from tests.clients.wire.talk import Wire
from tests.clients.wrangler.project import Project
from tests.effort import last_first
from tests.server import Server


@pytest.fixture(params=last_first([OLDER, NEWER]))
def version(request: pytest.FixtureRequest) -> str:
    """Return each version of wrangler in turn."""
    name: str = request.param
    return name


@pytest.fixture
def project(server: Server, wire: Wire, tmp_path: Path, version: str, absent_script: str) -> Project:
    """Return a folder with a Worker that the server does not have yet."""
    return Project(server, wire, tmp_path, version, absent_script)
