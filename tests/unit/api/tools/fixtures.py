"""The API fixtures of more than one folder; a conftest imports them to offer them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.api.tools.driver import Api


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Yield an API in this process whose account has one script, `worker`, without bindings; a module shares it."""
    with Api(tmp_path_factory.mktemp("api")) as api:
        assert api.upload("worker").status == 200
        yield api


@pytest.fixture
def own_api(tmp_path: Path) -> Iterator[Api]:
    """Yield an API in this process that only this test uses."""
    with Api(tmp_path) as api:
        yield api
