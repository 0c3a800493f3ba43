"""The binary that the tests run is the one that is pinned."""

import subprocess

import pytest
from tests.delivery.scene import workerd

from nightsafe.delivery.workerd.binary import VERSION, verify


def test_it_is_the_pinned_build() -> None:
    """By its hash, and by what it says of itself."""
    verify(workerd())
    said = subprocess.run([workerd(), "--version"], capture_output=True, text=True, check=True).stdout

    assert VERSION.split(".")[1] == said.split()[-1].replace("-", "")


def test_it_is_found_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where there is no npm."""
    path = workerd()
    monkeypatch.setenv("WORKERD_BIN", str(path))

    assert path == workerd()
