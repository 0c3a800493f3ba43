"""Signal handling of server processes, and of commands that must clean up when a signal ends them.

In a server process SIGUSR1 and SIGUSR2 do nothing after `stdio.set_up_output`.
"""

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager


@contextmanager
def handle_signals(hangups: Sequence[Callable[[], None]]) -> Iterator[asyncio.Event]:
    """Give an event that SIGTERM or SIGINT sets.

    Args:
        hangups: functions that the event loop calls at each SIGHUP; the caller may append to the sequence.
    """

    def hang_up() -> None:
        """Call the functions."""
        for callback in hangups:
            callback()

    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    loop.add_signal_handler(signal.SIGHUP, hang_up)
    yield stopping


@contextmanager
def exit_on_signals() -> Iterator[None]:
    """Within this block SIGTERM and SIGHUP raise SystemExit, so that `finally` clauses run."""
    before = {number: signal.signal(number, _exit) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _exit(number: int, _: object) -> None:
    """Exit with the code that stands for the signal."""
    sys.exit(128 + number)
