"""A delivery side for each test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.delivery.scene import Scene


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory with a path short enough for unix sockets."""
    with TemporaryDirectory(prefix="ns-") as name:
        yield Path(name)


@pytest.fixture
async def scene(folder: Path) -> AsyncIterator[Scene]:
    """A delivery side that has started, on the real workerd."""
    async with Scene(folder) as started:
        yield started
