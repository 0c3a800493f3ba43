"""What the tests of the security page share."""

from collections.abc import Iterator

import pytest
from tests.unit.api.driver import Api


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API in this process whose account has one script, `worker`, without bindings; many tests share it."""
    with Api(tmp_path_factory.mktemp("api")) as api:
        assert api.upload("worker").status == 200
        yield api
