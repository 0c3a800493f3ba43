"""An API with one script, shared by the tests that leave no trace another would mind."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.api.tools.driver import Api


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API whose account has one script, `worker`, without bindings."""
    with Api(tmp_path_factory.mktemp("api")) as api:
        assert api.upload("worker").status == 200
        yield api


@pytest.fixture
def own_api(tmp_path: Path) -> Iterator[Api]:
    """An API that only this test uses."""
    with Api(tmp_path) as api:
        yield api
