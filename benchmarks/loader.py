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

import uvloop
from benchmarks.traffic import Requests

_TIMEOUT = 120.0
_HEAD_END = b"\r\n\r\n"


class Client(asyncio.Protocol):
    """One client: sends a request, waits for the whole answer, sends the next.

    After an answer with `Connection: close` it opens a new connection, as browsers do.

    Args:
        port: the port on loopback.
        requests: the requests to send. All clients draw from it.
        results: collects the status and the seconds of each answer. Status 0 means a broken connection.
    """

    def __init__(self, port: int, requests: Iterator[bytes], results: list[tuple[int, float]]) -> None:
        self._port = port
        self._requests = requests
        self._results = results
        self._received = b""
        self._sent_at = 0.0
        self._answer: asyncio.Future[bool] | None = None
        self._transport: asyncio.Transport | None = None

    async def open(self) -> None:
        """Connect."""
        await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self._port)

    async def run(self) -> None:
        """Send until no requests are left."""
        for request in self._requests:
            if self._transport is None:
                await self.open()
            if self._transport is None or not await self._ask(self._transport, request):
                self._results.append((0, time.perf_counter() - self._sent_at))
        if self._transport is not None:
            self._transport.close()

    def _ask(self, transport: asyncio.Transport, request: bytes) -> "asyncio.Future[bool]":
        """Send one request. The future is True after the whole answer, and False if the connection breaks."""
        self._answer, self._received = asyncio.get_running_loop().create_future(), b""
        self._sent_at = time.perf_counter()
        transport.write(request)
        return self._answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport  # type: ignore[assignment] # for a stream it is a Transport

    def data_received(self, data: bytes) -> None:
        """Add the data, and record the answer when it is complete."""
        self._received += data
        if self._answer is None or self._answer.done() or not _is_whole(self._received):
            return
        self._results.append((int(self._received[9:12]), time.perf_counter() - self._sent_at))
        if b"connection: close" in self._received[: self._received.find(_HEAD_END)].lower():
            self._let_go()
        self._answer.set_result(True)

    def connection_lost(self, _: Exception | None) -> None:
        """Note that the server closed the connection."""
        if self._transport is not None and self._transport.is_closing():
            self._transport = None
            if self._answer is not None and not self._answer.done():
                self._answer.set_result(False)

    def _let_go(self) -> None:
        """Close the connection. The next request opens another."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None


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
    results: list[tuple[int, float]] = []
    clients = [Client(requests.port, source, results) for _ in range(connections)]
    for client in clients:
        await client.open()
    began = time.perf_counter()
    async with asyncio.timeout(_TIMEOUT):
        await asyncio.gather(*(client.run() for client in clients))
    return _summary(results, time.perf_counter() - began)


def _summary(results: list[tuple[int, float]], seconds: float) -> dict[str, float]:
    """Return the fields of `load.Load`."""
    times = sorted(taken for _, taken in results) or [0.0]
    return {
        "answered": len(results),
        "seconds": seconds,
        "failed": sum(not 200 <= status < 300 for status, _ in results),
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
