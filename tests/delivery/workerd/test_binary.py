"""The tests run the pinned workerd binary."""

import subprocess

import pytest
from tests.delivery.runtime import workerd

from nightsafe.delivery.workerd.binary import VERSION, verify_workerd


def test_workerd_is_the_pinned_build() -> None:
    """Its hash and the version that it prints are the pinned ones."""
    verify_workerd(workerd())
    said = subprocess.run([workerd(), "--version"], capture_output=True, text=True, check=True).stdout

    assert VERSION.split(".")[1] == said.split()[-1].replace("-", "")


def test_workerd_is_found_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """`WORKERD_BIN` names the binary, for machines without npm."""
    path = workerd()
    monkeypatch.setenv("WORKERD_BIN", str(path))

    assert path == workerd()
