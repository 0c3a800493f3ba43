"""The signals that a serving process listens to. SIGUSR1 and SIGUSR2 do nothing, from `stdio.serving` on."""

import asyncio
import signal
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
