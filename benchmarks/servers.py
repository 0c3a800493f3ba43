"""Starts the measured servers: Nightsafe, and the constant answer."""

import base64
import contextlib
import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from benchmarks.machine import start, stop
from benchmarks.settings import SERVER_CORE
from benchmarks.traffic import Requests

_READY_SECONDS = 60
_OF_THE_SERVER = frozenset({"server", "date"})


class NotMeasuredError(Exception):
    """A figure could not be measured: something is missing or failed."""


@dataclass(frozen=True, slots=True)
class Running:
    """A running server.

    Attributes:
        process: its process, or the root of its process tree.
        port: its port on loopback.
        ready_seconds: the seconds from its start to its message that it is ready; 0 when that was not measured.
    """

    process: "subprocess.Popen[str]"
    port: int
    ready_seconds: float = 0.0

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self.process.pid


def free_port() -> int:
    """Return a free port on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(running: Running) -> Running:
    """Wait until a server accepts connections.

    Raises:
        NotMeasuredError: when the server ends, or accepts none within a minute.
    """
    end = time.monotonic() + _READY_SECONDS
    while time.monotonic() < end and running.process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", running.port), 1):
            return running
        time.sleep(0.02)
    raise NotMeasuredError(f"a server did not start: {running.process.args!r}")


@contextlib.contextmanager
def nightsafe(data: Path, log: IO[bytes], *options: str, core: int | None = SERVER_CORE) -> Iterator[Running]:
    """Start `nightsafe serve` on one core."""
    command = [str(Path(sys.executable).parent / "nightsafe"), "serve", "--data", str(data), "--port", "0", *options]
    began = time.perf_counter()
    process = start(command, core, log)
    try:
        line = process.stdout.readline() if process.stdout else ""
        ready = time.perf_counter() - began
        if not line.startswith("listening on"):
            raise NotMeasuredError("nightsafe did not start; its log is in .cache/bench")
        yield Running(process, int(line.rsplit(":", 1)[1].split("/")[0]), ready)
    finally:
        stop(process)


@contextlib.contextmanager
def constant_answer(like: Requests, log: IO[bytes]) -> Iterator[Running]:
    """Start a server on the same core that answers every request with Nightsafe's answer to one of these requests."""
    answer, port = json.dumps(_answer(like)), free_port()
    process = start([sys.executable, "-m", "benchmarks.constant", str(port)], SERVER_CORE, log, text=answer)
    try:
        yield wait_for(Running(process, port))
    finally:
        stop(process)


def _answer(requests: Requests) -> dict[str, object]:
    """Return Nightsafe's answer, without the headers that the HTTP server adds."""
    head, _, body = requests.build(0, 0).partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    method, target, _ = line.split(" ")
    connection = http.client.HTTPConnection("127.0.0.1", requests.port, timeout=10)
    connection.request(method, target, body, dict(field.split(": ", 1) for field in fields))
    response = connection.getresponse()
    content = response.read()
    connection.close()
    if response.status != 200:
        raise NotMeasuredError(f"nightsafe answered {response.status}")
    headers = [(name.lower(), value) for name, value in response.getheaders() if name.lower() not in _OF_THE_SERVER]
    return {"headers": headers, "body": base64.b64encode(content).decode()}
