"""Ending by a signal as by an exception, so that a command takes away what it has begun."""

import signal
import sys


def end_tidily() -> None:
    """From now on, heed `finally` when the process is told to end."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)


def _leave(number: int, _: object) -> None:
    """End with the exit code that the signal would give."""
    sys.exit(128 + number)
