"""A data directory for the commands on the audit log."""

import shutil
from pathlib import Path

import pytest
from tests.unit.audit.tools.filled_safe import fill_directory


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data directory with rows of every kind."""
    return fill_directory(tmp_path_factory.mktemp("filled"))


@pytest.fixture
def data(filled: Path, tmp_path: Path) -> Path:
    """Return a copy of the data directory."""
    return Path(shutil.copytree(filled, tmp_path / "data"))
