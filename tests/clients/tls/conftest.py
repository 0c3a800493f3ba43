"""Two private certificate authorities: one is trusted in these tests, the other is not."""

from pathlib import Path

import pytest
from tests.clients.tls.authority import Authority, Pair


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Return the trusted authority."""
    return Authority(tmp_path, "authority")


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    """Return the other authority."""
    return Authority(tmp_path, "stranger")


@pytest.fixture
def pair(authority: Authority) -> Pair:
    """Return the server's certificate and key."""
    return authority.issue("server")
