"""Fixtures of the delivery tests: a folder with a short path and a started delivery side."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.delivery.scene import Scene


@pytest.fixture
def folder() -> Iterator[Path]:
    """Yield a directory whose path is short enough for unix sockets."""
    with TemporaryDirectory(prefix="ns-") as name:
        yield Path(name)


@pytest.fixture
async def scene(folder: Path) -> AsyncIterator[Scene]:
    """Yield a delivery side that has started with the real workerd."""
    async with Scene(folder) as started:
        yield started
