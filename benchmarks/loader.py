"""A loader in plain Python: keep-alive connections, one request at a time on each, without pipelining.

Run as `python -m benchmarks.loader CONNECTIONS SECONDS SEED COUNT` with the requests as JSON on stdin. With a COUNT
above 0, it sends this many requests, to each secret in turn. Otherwise it sends random requests for SECONDS.
"""

import asyncio
import json
import random
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

import uvloop
from benchmarks.traffic import Requests

_TIMEOUT = 120.0
_HEAD_END = b"\r\n\r\n"


class Answer(NamedTuple):
    """The answer to a request: its status, or 0 if the connection broke, and the seconds that it took."""

    status: int
    seconds: float

    @property
    def failed(self) -> bool:
        """Tell whether the request failed."""
        return not 200 <= self.status < 300


class Client(asyncio.Protocol):
    """One client: it sends a request, and waits for the whole answer before it sends the next.

    After an answer with `Connection: close` it opens a new connection, as browsers do.

    Args:
        port: the port on loopback.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._received = b""
        self._since = 0.0
        self._answer: asyncio.Future[Answer] | None = None
        self._transport: asyncio.Transport | None = None

    async def open(self) -> None:
        """Connect."""
        await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self._port)

    async def ask(self, request: bytes, since: float | None = None) -> Answer:
        """Send one request, and return its answer.

        Args:
            request: the bytes of the request.
            since: the time from which to count the seconds, by `time.perf_counter`; None for the time of the sending.
        """
        if self._transport is None:
            await self.open()
        assert self._transport is not None  # noqa: S101 - `connection_made` has set it
        self._answer, self._received = asyncio.get_running_loop().create_future(), b""
        self._since = time.perf_counter() if since is None else since
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """Close the connection. The next request opens another."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport  # type: ignore[assignment] # for a stream it is a Transport

    def data_received(self, data: bytes) -> None:
        """Add the data, and finish the answer when it is complete."""
        self._received += data
        if self._answer is None or self._answer.done() or not _is_whole(self._received):
            return
        if b"connection: close" in self._received[: self._received.find(_HEAD_END)].lower():
            self.close()
        self._finish(self._answer, int(self._received[9:12]))

    def connection_lost(self, _: Exception | None) -> None:
        """Note that the server closed the connection."""
        if self._transport is not None and self._transport.is_closing():
            self._transport = None
            if self._answer is not None and not self._answer.done():
                self._finish(self._answer, 0)

    def _finish(self, answer: "asyncio.Future[Answer]", status: int) -> None:
        """Set the answer to the request."""
        answer.set_result(Answer(status, time.perf_counter() - self._since))


def _is_whole(data: bytes) -> bool:
    """Tell whether an answer is complete: with a Content-Length, in chunks, or without a body."""
    end = data.find(_HEAD_END)
    if end < 0:
        return False
    head = data[:end].lower()
    start = head.find(b"content-length:")
    if start >= 0:
        length = int(head[start + 15 :].split(b"\r\n", 1)[0])
        return len(data) >= end + len(_HEAD_END) + length
    return data.endswith(b"0\r\n\r\n") if b"transfer-encoding: chunked" in head else True


def _for_seconds(requests: Requests, seconds: float, seed: int) -> Iterator[bytes]:
    """Yield random requests until the time is over."""
    draw = random.Random(seed)  # noqa: S311 - draws names of keys, no secrets
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        yield requests.build(draw.randrange(requests.scripts), draw.randrange(requests.secrets))


def _counted(requests: Requests, count: int) -> Iterator[bytes]:
    """Yield this many requests: script after script, secret after secret."""
    for number in range(count):
        yield requests.build(number // requests.secrets % requests.scripts, number % requests.secrets)


async def _load(requests: Requests, connections: int, source: Iterator[bytes]) -> dict[str, float]:
    """Open all connections, then send on all of them."""
    answers: list[Answer] = []
    clients = [Client(requests.port) for _ in range(connections)]
    for client in clients:
        await client.open()
    began = time.perf_counter()
    async with asyncio.timeout(_TIMEOUT):
        await asyncio.gather(*(_send(client, source, answers) for client in clients))
    return _summary(answers, time.perf_counter() - began)


async def _send(client: Client, source: Iterator[bytes], answers: list[Answer]) -> None:
    """Send with one client until no requests are left. All clients draw from the same source."""
    answers.extend([await client.ask(request) for request in source])
    client.close()


def _summary(answers: list[Answer], seconds: float) -> dict[str, float]:
    """Return the fields of `load.Load`."""
    times = sorted(answer.seconds for answer in answers) or [0.0]
    return {
        "answered": len(answers),
        "seconds": seconds,
        "failed": sum(answer.failed for answer in answers),
        "p50": times[len(times) // 2],
        "p99": times[int(len(times) * 0.99)],
    }


def main() -> None:
    """Read the requests, send them, and print the result."""
    requests = Requests.decode(sys.stdin.read())
    connections, seconds, seed, count = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    source = iter(list(_counted(requests, count))) if count else _for_seconds(requests, seconds, seed)
    print(json.dumps(uvloop.run(_load(requests, connections, source))))


if __name__ == "__main__":
    main()
