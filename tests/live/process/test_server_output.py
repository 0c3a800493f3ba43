"""`nightsafe serve` with closed or full standard streams, and under any signal."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path

import pytest
from tests.live.tools.running import until
from tests.server import NIGHTSAFE, Safe, clean_environ

_SECONDS = 60


@contextmanager
def serving(safe: Safe, redirections: str) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """Run `nightsafe serve` with redirected standard streams; yield its process and its port."""
    command = " ".join([*NIGHTSAFE, "serve", "--data", str(safe.path), "--port", "0"])
    process = subprocess.Popen(
        ["/bin/sh", "-c", f"exec {command} {redirections}"],
        cwd=safe.path.parent,
        env=clean_environ(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process, _port(process, safe)
    finally:
        process.kill()
        process.wait()


def _port(process: "subprocess.Popen[bytes]", safe: Safe) -> int:
    """Return the port that the data directory names."""
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end and process.poll() is None:
        address = safe.path / "address"
        if address.exists() and (url := address.read_text()):
            return int(url.rsplit(":", 1)[1].split("/")[0])
        time.sleep(0.02)
    raise AssertionError(f"the server did not start: {process.poll()}")


def status(port: int, path: str = "/livez") -> int:
    """Return the status of a request on a new connection."""
    connection = HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
    try:
        connection.request("GET", path, headers={"Authorization": "Bearer nobody"})
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize("redirections", ["<&- >&- 2>&-", ">/dev/full 2>/dev/full"])
def test_serve_survives_closed_or_full_streams(safe: Safe, redirections: str) -> None:
    """It serves without a log, survives SIGHUP, SIGUSR1 and SIGUSR2, and ends with 0 after SIGTERM."""
    with serving(safe, redirections) as (process, port):
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            process.send_signal(number)
            assert status(port, "/client/v4/user") in {400, 403}

        process.send_signal(signal.SIGTERM)
        assert process.wait(_SECONDS) == 0


def test_serve_survives_a_full_pipe(safe: Safe) -> None:
    """With a full pipe as both streams it serves any number of refusals that it would log, and ends with 0."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, b"\n" * 4096)
    os.set_blocking(writing, True)
    os.set_inheritable(writing, True)
    path = f"/proc/{os.getpid()}/fd/{writing}"
    try:
        with serving(safe, f">{path} 2>{path}") as (process, port):
            assert [status(port, "/client/v4/user") for _ in range(20)] == [403] * 20
            process.send_signal(signal.SIGTERM)
            assert process.wait(_SECONDS) == 0
    finally:
        os.close(reading)
        os.close(writing)


def test_serve_logs_into_a_new_file_after_sighup(safe: Safe, tmp_path: Path) -> None:
    """New entries are in the new file, no entry is lost, and nothing ends."""
    log, old = tmp_path / "log", tmp_path / "log.1"
    with serving(safe, f"2>>{log}") as (process, port):
        assert status(port, "/client/v4/user") == 403
        until(lambda: "refused" in log.read_text())
        log.rename(old)
        process.send_signal(signal.SIGHUP)
        until(log.exists)
        assert status(port, "/client/v4/user") == 403
        until(lambda: "refused" in log.read_text())

        assert old.read_text().count("refused") == log.read_text().count("refused") == 1
        assert log.stat().st_mode == old.stat().st_mode
        process.send_signal(signal.SIGTERM)
        assert process.wait(_SECONDS) == 0
