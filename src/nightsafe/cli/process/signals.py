"""Signals: what a serving process listens to, and a command that ends by one as by an exception.

SIGUSR1 and SIGUSR2 do nothing in a serving process, from `stdio.serving` on.
"""

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager


@contextmanager
def signals(hangups: Sequence[Callable[[], None]]) -> Iterator[asyncio.Event]:
    """What is set when the process is told to end, by SIGTERM or SIGINT, once or more often.

    Args:
        hangups: what is called at each SIGHUP, on the event loop; it may be added to.
    """

    def hang_up() -> None:
        """Call each."""
        for each in hangups:
            each()

    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    loop.add_signal_handler(signal.SIGHUP, hang_up)
    yield stopping


@contextmanager
def ending_tidily() -> Iterator[None]:
    """Meanwhile, `finally` is heeded when the process is told to end."""
    before = {number: signal.signal(number, _leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int, _: object) -> None:
    """End with the exit code that the signal would give."""
    sys.exit(128 + number)
