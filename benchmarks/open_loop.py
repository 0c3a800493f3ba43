"""An open-loop loader: it sends each request at its intended time, whether or not earlier ones have been answered.

Run as `python -m benchmarks.open_loop CONNECTIONS RATE SECONDS SEED`, with the reads and the writes as two lines of
JSON on stdin. The intended times are those of independent clients: a Poisson process. The latency of a request is the
time from its intended time to its whole answer. So a wait for a connection, or for the loader, is a part of it.
"""

import asyncio
import gc
import json
import random
import select
import selectors
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

from benchmarks.loader import Client
from benchmarks.traffic import Requests

WRITE_SHARE = 0.1
_GRACE_SECONDS = 30.0


class Planned(NamedTuple):
    """A request to send: its intended time in seconds from the start, whether it is a write, and its bytes."""

    at: float
    is_write: bool
    request: bytes


@dataclass(slots=True)
class Latencies:
    """The result of one round, in seconds.

    Attributes:
        reads: the latency of each read.
        writes: the latency of each write.
        late: how long after its intended time each request was sent.
        failed: the number of requests that failed.
    """

    reads: list[float] = field(default_factory=list)
    writes: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    failed: int = 0


def plan(reads: Requests, writes: Requests, rate: float, seconds: float, seed: int) -> Iterator[Planned]:
    """Yield the requests of one round, in the order of their intended times."""
    draw, at = random.Random(seed), 0.0  # noqa: S311 - draws times and names of keys, no secrets
    while (at := at + draw.expovariate(rate)) < seconds:
        is_write = draw.random() < WRITE_SHARE
        kind = writes if is_write else reads
        yield Planned(at, is_write, kind.build(draw.randrange(kind.scripts), draw.randrange(kind.secrets)))


async def load(port: int, connections: int, planned: list[Planned]) -> Latencies:
    """Send all requests. A free connection takes the next of them, and waits for its intended time."""
    clients, latencies = [Client(port) for _ in range(connections)], Latencies()
    for client in clients:
        await client.open()
    began, source = time.perf_counter(), iter(planned)
    async with asyncio.timeout(planned[-1].at + _GRACE_SECONDS):
        await asyncio.gather(*(_send(client, began, source, latencies) for client in clients))
    return latencies


async def _send(client: Client, began: float, source: Iterator[Planned], latencies: Latencies) -> None:
    """Send with one client until no requests are left."""
    for at, is_write, request in source:
        intended = began + at
        await asyncio.sleep(intended - time.perf_counter())
        latencies.late.append(time.perf_counter() - intended)
        answer = await client.ask(request, since=intended)
        (latencies.writes if is_write else latencies.reads).append(answer.seconds)
        latencies.failed += answer.failed
    client.close()


class _ExactSelector(selectors.EpollSelector):
    """Waits until the exact time: epoll itself, and uvloop, wait for whole milliseconds."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for the descriptor of epoll with another system call, whose timeout has microseconds."""
        select.select([self], [], [], None if timeout is None else max(timeout, 0))
        return super().select(0)


def main() -> None:
    """Read the requests, send them, and print the fields of `Latencies`."""
    reads, writes = map(Requests.decode, sys.stdin.read().splitlines())
    connections, rate, seconds, seed = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    planned = list(plan(reads, writes, rate, seconds, seed))
    gc.disable()  # a collection would delay what is sent meanwhile
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(_ExactSelector())) as runner:
        latencies = runner.run(load(reads.port, connections, planned))
    print(json.dumps(asdict(latencies)))


if __name__ == "__main__":
    main()
