"""Data that leaves the machine through audit sinks."""

import json
from pathlib import Path

import pytest
from tests.live.tools.running import until
from tests.security.tools.planted_server import Planted
from tests.server import Server

from nightsafe.audit.sinks.address import parse_address
from nightsafe.errors import NightsafeError


def test_a_sink_gets_no_value(planted: Planted, tmp_path: Path) -> None:
    """No audit sink gets a value, and no entry of the audit log crosses a network without TLS.

    A sink gets the whole log of a server that has received values and credentials in every way, and contains none.
    """
    path = tmp_path / "audit.jsonl"
    with Server(planted.safe, "--audit-sink", path.as_uri()):
        with planted.wire() as wire:
            assert 200 == wire.ask("GET", "/readyz").status
        until(lambda: path.exists() and len(path.read_bytes().splitlines()) > 20)
    content = path.read_bytes()

    assert [] == [value for value in planted.planted if value in content]
    assert "secrets.put" in {json.loads(line)["entry"]["action"] for line in content.splitlines()}


@pytest.mark.parametrize("url", ["http://192.0.2.1/", "http://logs.example/", "syslog+tcp://10.0.0.1"])
def test_a_sink_of_another_machine_needs_tls(url: str) -> None:
    """No audit sink gets a value, and no entry of the audit log crosses a network without TLS.

    A URL without TLS is refused for any host but this machine.
    """
    with pytest.raises(NightsafeError, match="without TLS"):
        parse_address(url)
