"""A whole run: a safe and a server of its own, a round of requests, and a check of what is left."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from tests.clients.wire.talk import Wire
from tests.fuzz.api.fuzzed_safe import FuzzedSafe, make_fuzzed_safe, sentinels, settle
from tests.fuzz.api.process_watch import Watch, cpu_seconds, memory
from tests.fuzz.api.round import Outcome, play
from tests.server import Server, make_safe

_MORE_MEMORY: Final = 512 * 1024 * 1024
_BAD_WORDS: Final = ("Traceback", '"unforeseen"', "panicked")
_OPTIONS: Final = ("--auth-failures", "0", "--upload-memory", "64")


class Run:
    """The result of a run.

    Attributes:
        outcome: the result of the round of requests.
        cpu: the CPU seconds that the server used.
        memory: the bytes that the server had at first, and at the most.
    """

    def __init__(self, outcome: Outcome, cpu: float, sizes: tuple[int, int]) -> None:
        self.outcome = outcome
        self.cpu = cpu
        self.memory = sizes

    def describe(self) -> str:
        """Return a summary of a few lines."""
        out, mega = self.outcome, 1 << 20
        count = sum(out.statuses.values())
        lines = [
            f"{count:,} requests in {out.seconds:.0f} s: {count / max(out.seconds, 0.001):,.0f} a second",
            f"server: {self.cpu:.0f} s of CPU; {self.memory[0] // mega} MB at first, {self.memory[1] // mega} later",
            f"slowest answer {out.slowest:.2f} s; slow only because the machine was busy: {out.busy}",
            f"statuses: {dict(sorted(out.statuses.items()))}",
            *out.wrong,
        ]
        return "\n".join(lines)


def fuzz(
    folder: Path, seed: int, count: int, seconds: float, progress: Callable[[Outcome], None] = lambda _: None
) -> Run:
    """Send this many requests, or as many as there is time for, to a server in an empty folder.

    Raises:
        AssertionError: when a sentinel was touched, or the server grew too large or does not end as it should.
    """
    fuzzed = make_fuzzed_safe(make_safe(folder))
    with Server(fuzzed.main, *_OPTIONS) as server:
        run, store_id = _against(server, fuzzed, seed, _numbers(count, seconds), progress)
    text = server.stderr.read_text(errors="replace")
    for word in _BAD_WORDS:
        if word in text:
            run.outcome.failures += 1
            run.outcome.wrong.append(
                f"the log has: {next(line for line in text.splitlines() if word in line)[:1000]}"
            )
    sentinels(fuzzed, store_id)
    return run


def _against(
    server: Server, fuzzed: FuzzedSafe, seed: int, numbers: Iterator[int], progress: Callable[[Outcome], None]
) -> tuple[Run, str]:
    """Send requests to a running server; check it and the sentinels afterwards."""
    known = settle(server, fuzzed)
    store_id = known.ids["sentinel_store"]
    before, first, watch = sentinels(fuzzed, store_id), memory(server.pid), Watch(server.pid)
    began = cpu_seconds(server.pid)
    outcome = asyncio.run(play(known, watch, seed, numbers, progress))
    run = Run(outcome, cpu_seconds(server.pid) - began, (first, watch.largest))
    assert before == sentinels(fuzzed, store_id)
    with Wire.to(server) as wire:
        assert wire.ask("GET", "/readyz").status == 200
    assert watch.largest - first < _MORE_MEMORY, run.describe()
    return run, store_id


def _numbers(count: int, seconds: float) -> Iterator[int]:
    """Yield the numbers of the requests while there is time."""
    end = time.monotonic() + seconds
    for number in range(count):
        if time.monotonic() > end:
            return
        yield number
