"""A question to a workerd whether it is well, and what it does while it does not answer."""

import asyncio
import math
import time
from contextlib import suppress

import msgspec

from nightsafe.delivery.workerd.child import Child, Going

_STEP = 0.05


class Probe:
    """One question, asked when this is made.

    Args:
        child: who is asked.
    """

    def __init__(self, child: Child) -> None:
        self._child = child
        self._cpu = child.cpu_seconds()
        self.asked_at = time.time()
        self._answer = asyncio.create_task(self._ask())

    async def _ask(self) -> None:
        """Ask, and let it be known what the process has under way."""
        answer = await self._child.ask("/health")
        with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):  # it has begun to end
            self._child.going = msgspec.json.decode(answer, type=Going)
            self._child.heard_at = self.asked_at

    @property
    def used(self) -> float:
        """Seconds of CPU that the process has used since it was asked."""
        return self._child.cpu_seconds() - self._cpu

    async def answered(self, *, cpu: float, idle: float, most_bytes: float = math.inf) -> bool:
        """Wait for the answer, or until the process has used too much without giving it.

        A machine that is busy with other things lets a process wait, but whoever computes without end uses CPU.

        Args:
            cpu: seconds of CPU that it may use in all.
            idle: seconds for which it may use next to none.
            most_bytes: memory that it may hold.

        Returns:
            Whether it has answered; a process that has ended counts as one that has, for that is seen elsewhere.
        """
        used, moved = self.used, time.monotonic()
        while not self._answer.done():
            await asyncio.wait({self._answer}, timeout=_STEP)
            if self._answer.done() or not self._child.alive:
                break
            now = self.used
            if now > used + _STEP / 2:
                used, moved = now, time.monotonic()
            if now > cpu or time.monotonic() - moved > idle or self._child.resident_bytes() > most_bytes:
                return False
        return True

    async def end(self) -> None:
        """Wait for the answer no longer."""
        self._answer.cancel()
        with suppress(OSError, asyncio.CancelledError):
            await self._answer
