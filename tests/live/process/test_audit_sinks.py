"""Audit sinks under `nightsafe run`, whose API process is confined and is replaced when it dies."""

import json
import os
import signal
from pathlib import Path

import pytest
from tests.clients.audit_sinks.receivers import SyslogServer
from tests.clients.tls.authority import Authority
from tests.clients.wire.talk import Wire
from tests.live.tools.running import HELLO, Run, events, put, secret, until, upload
from tests.server import Safe


@pytest.mark.thorough
def test_sinks_continue_after_the_api_was_killed(safe: Safe, tmp_path: Path) -> None:
    """A file and a syslog server get entries from the API process, and go on after it was killed and replaced."""
    authority, path = Authority(tmp_path, "authority"), tmp_path / "audit.jsonl"
    with SyslogServer(authority.issue("server")) as syslog:
        options = ("--audit-sink", syslog.url, "--audit-sink-ca", str(authority.certificate))
        with Run(safe, "--audit-sink", path.as_uri(), *options) as running:
            with Wire.to(running) as wire:
                upload(wire, "worker", HELLO, secret("TOKEN", "one"))
                syslog.received.until(lambda lines: "scripts.upload" in {line["entry"]["action"] for line in lines})
            os.kill(running.child("api_child"), signal.SIGKILL)
            until(lambda: events(running, "api.started"))
            with Wire.to(running) as wire:
                put(wire, "worker", "TOKEN", "two")
                syslog.received.until(lambda lines: "secrets.put" in {line["entry"]["action"] for line in lines})
    for lines in (syslog.received.parsed(), [json.loads(line) for line in path.read_bytes().splitlines()]):
        numbers = {line["seq"] for line in lines}
        assert set(range(1, max(numbers) + 1)) == numbers
        assert {"scripts.upload", "secrets.put"} <= {line["entry"]["action"] for line in lines}
