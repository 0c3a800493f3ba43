"""Fixtures of the delivery tests: delivery processes that have started with the real workerd."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import pytest_asyncio
from tests.delivery.runtime import Runtime

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Run the tests of a module in one event loop, since they share a delivery process."""
    for item in items:
        if item.path.is_relative_to(_HERE) and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="module"), append=False)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def runtime() -> AsyncIterator[Runtime]:
    """Yield a delivery process that the tests of a module share."""
    with TemporaryDirectory(prefix="ns-") as name:
        async with Runtime(Path(name)) as started:
            yield started


@pytest_asyncio.fixture(loop_scope="module")
async def own_runtime(folder: Path) -> AsyncIterator[Runtime]:
    """Yield a delivery process that only this test uses."""
    async with Runtime(folder) as started:
        yield started
