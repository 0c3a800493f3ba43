"""The bystander: a process that reads and writes one secret over a bare socket, and times each request."""

import json
import multiprocessing
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Final

_PAUSE: Final = 0.001
_SECONDS: Final = 300
_OK: Final = b"HTTP/1.1 200"
_LENGTH: Final = b"content-length:"


@dataclass(slots=True)
class Times:
    """The durations of the requests, in milliseconds.

    Attributes:
        get: the durations of the reads.
        put: the durations of the writes.
    """

    get: list[float] = field(default_factory=list)
    put: list[float] = field(default_factory=list)

    def least(self) -> int:
        """Return the number of reads or of writes, whichever is smaller."""
        return min(len(self.get), len(self.put))


@dataclass(frozen=True, slots=True)
class Spread:
    """The median, the 99th percentile and the maximum of some times."""

    p50: float
    p99: float
    longest: float

    @classmethod
    def of(cls, times: Sequence[float]) -> "Spread":
        """Compute the spread of these times."""
        ordered = sorted(times)
        return cls(ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)], ordered[-1])

    def cells(self) -> str:
        """Return three cells of a Markdown table."""
        return " | ".join(f"{milliseconds:.1f}" for milliseconds in (self.p50, self.p99, self.longest))


@contextmanager
def standing_by(port: int, token: str, secrets: str, least: int) -> Iterator[Times]:
    """Run a bystander that reads and writes a secret while the context is open, and at least `least` times.

    Args:
        port: the server's port.
        token: the API token.
        secrets: the path of the script's secrets.
        least: the least number of reads, and of writes.

    Yields:
        The times, which are filled in when the context ends.
    """
    context, times = multiprocessing.get_context("spawn"), Times()
    ours, theirs = context.Pipe()
    process = context.Process(target=_stand, args=(theirs, port, token, secrets, least))
    process.start()
    theirs.close()  # so that the end of the process is the end of the pipe
    try:
        ours.recv()  # the bystander has begun
        yield times
        ours.send(None)
        found: Times = ours.recv()
        times.get, times.put = found.get, found.put
    finally:
        process.terminate()
        process.join()


def _stand(parent: Connection, port: int, token: str, secrets: str, least: int) -> None:
    """Run the bystander in its process."""
    times = Times()
    head = f"Host: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
    body = json.dumps({"name": "BYSTANDER", "text": "a value", "type": "secret_text"})
    put = (
        f"PUT {secrets} HTTP/1.1\r\n{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    )
    get = f"GET {secrets}/BYSTANDER HTTP/1.1\r\n{head}\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=_SECONDS) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _ask(connection, put.encode())
        _ask(connection, get.encode())
        parent.send(None)
        while not parent.poll() or times.least() < least:
            times.get.append(_ask(connection, get.encode()))
            times.put.append(_ask(connection, put.encode()))
            time.sleep(_PAUSE)
    parent.send(times)


def _ask(connection: socket.socket, request: bytes) -> float:
    """Send a request and read its answer. Return the milliseconds that this took."""
    began, answer = time.perf_counter(), b""
    connection.sendall(request)
    while b"\r\n\r\n" not in answer:
        answer += _some(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    length = next(int(line[len(_LENGTH) :]) for line in head.split(b"\r\n") if line.lower().startswith(_LENGTH))
    while len(body) < length:
        body += _some(connection)
    if not head.startswith(_OK):
        raise SystemExit(f"the bystander was answered {head[:80]!r}")
    return (time.perf_counter() - began) * 1000


def _some(connection: socket.socket) -> bytes:
    """Return the received data."""
    part = connection.recv(65_536)
    if not part:
        raise SystemExit("the bystander's connection was closed")
    return part
