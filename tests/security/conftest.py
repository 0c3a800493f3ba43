"""Fixtures that the tests of SECURITY.md share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.security.tools.planted_server import Planted, planted_server
from tests.unit.api.tools.driver import Api
from tests.unit.api.tools.fixtures import api, own_api
from tests.unit.api.tools.rotation import Rotation, with_values

__all__ = ["api", "own_api"]


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    """Yield a server in its own process with values in every kind of place; tests share it and only add to it."""
    with planted_server(tmp_path_factory.mktemp("planted"), tmp_path_factory.mktemp("watching")) as made:
        yield made


@pytest.fixture
def rotation(own_api: Api, tmp_path: Path) -> Rotation:
    """Return an API in this process with key files, and with values of every kind in every kind of place."""
    return with_values(own_api, tmp_path)
