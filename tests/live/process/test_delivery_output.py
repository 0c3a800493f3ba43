"""`run` and `deliver` with closed or full standard streams, and the probes that report their state."""

import shlex
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.live.process.test_server_output import status
from tests.live.tools.running import Deliver, Run, surroundings, until
from tests.server import Safe, Server, clean_environ

_SECONDS = 60


def free_port() -> int:
    """Return a port without a listener."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


def answers(port: int, path: str) -> int:
    """Return the status of a probe, or 0 before a process listens."""
    try:
        return status(port, path)
    except OSError:
        return 0


@contextmanager
def redirected(
    command: list[str], folder: Path, redirections: str
) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """Run a command with redirected standard streams; yield its process and the port of its probes."""
    port = free_port()
    line = shlex.join([*command, "--probes", f"127.0.0.1:{port}"])
    process = subprocess.Popen(
        ["/bin/sh", "-c", f"exec {line} {redirections}"],
        cwd=folder,
        env=clean_environ(**surroundings()),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: answers(port, "/readyz") == 200)
        yield process, port
    finally:
        process.terminate()
        assert process.wait(_SECONDS) == 0


def check_signals(process: "subprocess.Popen[bytes]", port: int) -> None:
    """Check that the process survives the signals that would end it by default."""
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        process.send_signal(number)
        assert [200, 200, 404] == [status(port, path) for path in ("/livez", "/readyz", "/")]
    assert process.poll() is None


def test_run_survives_closed_streams(safe: Safe) -> None:
    """It serves and delivers, survives SIGHUP, SIGUSR1 and SIGUSR2, and ends with 0 after SIGTERM."""
    with redirected(Run(safe)._command, safe.path.parent, "<&- >&- 2>&-") as (process, port):
        check_signals(process, port)


def test_deliver_survives_full_streams(safe: Safe, tmp_path: Path) -> None:
    """It does the same, and its log goes on in a new file after SIGHUP."""
    log = tmp_path / "log"
    with Server(safe) as server:
        command = Deliver(safe, server.base_url, tmp_path / "delivery")._command
        with redirected(command, tmp_path, f"<&- >/dev/full 2>>{log}") as (process, port):
            log.rename(tmp_path / "log.1")
            check_signals(process, port)
            until(log.exists)
