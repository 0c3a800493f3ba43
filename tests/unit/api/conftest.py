"""An API with one script, shared by tests that do not affect each other."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.api.tools.driver import Api


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Yield an API whose account has one script, `worker`, without bindings."""
    with Api(tmp_path_factory.mktemp("api")) as api:
        assert api.upload("worker").status == 200
        yield api


@pytest.fixture
def own_api(tmp_path: Path) -> Iterator[Api]:
    """Yield an API that only this test uses."""
    with Api(tmp_path) as api:
        yield api
