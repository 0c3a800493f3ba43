"""The bystander: a process of its own that reads and writes one secret over a bare socket, and times each request."""

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
    """How long the requests took, in milliseconds.

    Attributes:
        get: each read.
        put: each write.
    """

    get: list[float] = field(default_factory=list)
    put: list[float] = field(default_factory=list)

    def least(self) -> int:
        """How many there are of each kind at the least."""
        return min(len(self.get), len(self.put))


@dataclass(frozen=True, slots=True)
class Spread:
    """The median, the 99th of a hundred and the longest of some times."""

    p50: float
    p99: float
    longest: float

    @classmethod
    def of(cls, times: Sequence[float]) -> "Spread":
        """That of these times."""
        ordered = sorted(times)
        return cls(ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)], ordered[-1])

    def cells(self) -> str:
        """As three cells of a Markdown table."""
        return " | ".join(f"{one:.1f}" for one in (self.p50, self.p99, self.longest))


@contextmanager
def standing_by(port: int, token: str, secrets: str, least: int) -> Iterator[Times]:
    """Someone who reads and writes a secret for as long as this lasts, and so many times at the least.

    Args:
        port: of the server.
        token: to ask with.
        secrets: path of the script's secrets.
        least: how many reads, and writes, there are to be.

    Yields:
        The times, which are there once it is over.
    """
    context, times = multiprocessing.get_context("spawn"), Times()
    ours, theirs = context.Pipe()
    process = context.Process(target=_stand, args=(theirs, port, token, secrets, least))
    process.start()
    theirs.close()  # so that the end of the process is the end of the pipe
    try:
        ours.recv()  # it has begun
        yield times
        ours.send(None)
        found: Times = ours.recv()
        times.get, times.put = found.get, found.put
    finally:
        process.terminate()
        process.join()


def _stand(parent: Connection, port: int, token: str, secrets: str, least: int) -> None:
    """The process."""
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
    """Send a request and read its answer; how many milliseconds that took."""
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
    """What has come."""
    part = connection.recv(65_536)
    if not part:
        raise SystemExit("the bystander's connection was closed")
    return part
