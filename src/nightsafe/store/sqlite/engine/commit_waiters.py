"""Lets tasks wait for a commit."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

_POLL_SECONDS: Final = 0.02
"""Seconds between two checks for commits of other processes, while a task waits."""


class CommitWaiters:
    """The tasks that wait for a commit. It costs nothing while no task waits.

    Args:
        header: returns a value that differs after a commit by any process.
        loop: the event loop on whose thread this object is used.
    """

    def __init__(self, header: Callable[[], bytes], loop: asyncio.AbstractEventLoop) -> None:
        self._header = header
        self._loop = loop
        self._seen = b""
        self._count = 0
        self._commit_future: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def wait(self, seconds: float) -> None:
        """Wait for a commit, for at most `seconds`."""
        if self._commit_future is None:
            self._commit_future = self._loop.create_future()
            self._seen = self._header()
            self._timer = self._loop.call_later(_POLL_SECONDS, self._poll)
        self._count += 1
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await asyncio.shield(self._commit_future)
        finally:
            self._count -= 1

    def wake(self) -> None:
        """Wake the waiting tasks after a commit of this process."""
        if self._commit_future is not None:
            self._commit_future.set_result(None)
            self._commit_future = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _poll(self) -> None:
        """Wake the waiting tasks if another process has committed; stop checking when no task waits.

        A failed check also wakes them: they check for themselves, and the next task that waits starts again.
        """
        moved = True
        try:
            moved = self._count == 0 or self._header() != self._seen
        finally:
            if moved:
                self.wake()
        if not moved:
            self._timer = self._loop.call_later(_POLL_SECONDS, self._poll)
