"""Ending by a signal as by an exception, so that a command takes away what it has begun."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager


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
