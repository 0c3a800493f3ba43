"""Waiting for a commit."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

_LOOK: Final = 0.02
"""Seconds between two looks for commits of other processes, while somebody waits."""


class Waiting:
    """Those who wait for a commit. While nobody does, it costs nothing.

    Args:
        header: what differs after a commit by whichever process.
        loop: the loop on whose thread this object is used.
    """

    def __init__(self, header: Callable[[], bytes], loop: asyncio.AbstractEventLoop) -> None:
        self._header = header
        self._loop = loop
        self._seen = b""
        self._count = 0
        self._woken: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def wait(self, seconds: float) -> None:
        """Return after a commit, or after so many seconds."""
        if self._woken is None:
            self._woken = self._loop.create_future()
            self._seen = self._header()
            self._timer = self._loop.call_later(_LOOK, self._look)
        self._count += 1
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await asyncio.shield(self._woken)
        finally:
            self._count -= 1

    def wake(self) -> None:
        """This process has committed."""
        if self._woken is not None:
            self._woken.set_result(None)
            self._woken = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        """Wake those who wait if another process has committed; look no more when nobody waits.

        A look that fails wakes them too: they look for themselves, and the next who waits begins anew.
        """
        moved = True
        try:
            moved = self._count == 0 or self._header() != self._seen
        finally:
            if moved:
                self.wake()
        if not moved:
            self._timer = self._loop.call_later(_LOOK, self._look)
