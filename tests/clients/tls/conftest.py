"""Two authorities that nobody knows of: the one that is trusted, and another."""

from pathlib import Path

import pytest
from tests.clients.tls.authority import Authority, Pair


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """The one that is trusted."""
    return Authority(tmp_path, "authority")


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    """Another."""
    return Authority(tmp_path, "stranger")


@pytest.fixture
def pair(authority: Authority) -> Pair:
    """The server's certificate and key."""
    return authority.issue("server")
