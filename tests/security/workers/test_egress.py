"""Attacks on services of this machine by a script, which tries every way to connect, in a separate network."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.security.tools.egress_probe import AWAY, NAMED

ROOT = Path(__file__).parents[3]
EVERY_WAY = ["fetch", "connect", "socket", "redirect"]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return which addresses a script reached; it runs once for all tests of this module."""
    rights = [] if os.geteuid() == 0 else ["--map-root-user"]
    apart = ["unshare", *rights, "--net", "--mount"]
    for command in (["true"], ["ip", "link", "set", "lo", "up"]):
        if subprocess.run([*apart, *command], check=False, capture_output=True).returncode:
            pytest.skip(
                f"NOT TESTED where scripts may connect to: {' '.join([*apart, *command])} is not allowed here"
            )
    folder = tmp_path_factory.mktemp("within")
    done = subprocess.run(
        [*apart, sys.executable, "-m", "tests.security.tools.egress_probe", str(folder)],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_way_to_this_machine(seen: Any) -> None:
    """A script cannot connect to an address of this machine, whether private or public, unless `--reach` names that
    address.

    This holds for every spelling of the address, for NAT64 and IPv4 in IPv6, and for names and redirects that lead to
    it.
    """
    assert {} == seen["own"]
    assert EVERY_WAY == seen["others"][NAMED]


def test_an_address_that_comes_later(seen: Any) -> None:
    """When the machine gets another address, the runtime is restarted to refuse that address too."""
    assert ({}, True) == (seen["later"], seen["restarted"])


def test_another_machine_that_forwards_to_this_one(seen: Any) -> None:
    """A script can reach a service of this machine through another machine that forwards to it: a balancer, or a
    router that publishes a port.
    """
    assert EVERY_WAY == seen["others"][AWAY]
