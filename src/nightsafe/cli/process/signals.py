"""Signal handling of serving processes, and of commands that must clean up when a signal ends them.

In a serving process SIGUSR1 and SIGUSR2 do nothing after `stdio.serving`.
"""

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager


@contextmanager
def signals(hangups: Sequence[Callable[[], None]]) -> Iterator[asyncio.Event]:
    """Give an event that SIGTERM or SIGINT sets.

    Args:
        hangups: functions that the event loop calls at each SIGHUP; the caller may append to the sequence.
    """

    def hang_up() -> None:
        """Call the functions."""
        for each in hangups:
            each()

    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    loop.add_signal_handler(signal.SIGHUP, hang_up)
    yield stopping


@contextmanager
def ending_tidily() -> Iterator[None]:
    """Within this block SIGTERM and SIGHUP raise SystemExit, so that `finally` clauses run."""
    before = {number: signal.signal(number, _leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int, _: object) -> None:
    """Exit with the code that stands for the signal."""
    sys.exit(128 + number)
