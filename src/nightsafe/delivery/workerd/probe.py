"""Probes whether a workerd answers, and measures what it uses while it does not."""

import asyncio
import math
import time
from contextlib import suppress

import msgspec

from nightsafe.delivery.workerd.child import ActiveLoads, Child

_STEP = 0.05


class Probe:
    """One probe, sent when the object is made.

    Args:
        child: the process to probe.
    """

    def __init__(self, child: Child) -> None:
        self._child = child
        self._cpu = child.cpu_seconds()
        self.asked_at = time.time()
        self._answer = asyncio.create_task(self._ask())

    async def _ask(self) -> None:
        """Send the probe, and record the work that the process has under way."""
        answer = await self._child.ask("/health")
        with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):  # the process has begun to end
            self._child.active_loads = msgspec.json.decode(answer, type=ActiveLoads)
            self._child.probed_at = self.asked_at

    @property
    def cpu_used(self) -> float:
        """Seconds of CPU time that the process has used since the probe was sent."""
        return self._child.cpu_seconds() - self._cpu

    async def wait_for_answer(self, *, cpu: float, idle: float, max_bytes: float = math.inf) -> bool:
        """Wait until the process answers, or has used too much without an answer.

        The limit is CPU time, because a machine that is busy with other work makes a process wait, but a process that
        computes without end uses CPU time.

        Args:
            cpu: seconds of CPU time that the process may use in all.
            idle: seconds for which the process may use almost no CPU time.
            max_bytes: memory that the process may hold.

        Returns:
            Whether the process has answered. One that has ended counts too, because other checks notice its end.
        """
        cpu_used, progressed_at = self.cpu_used, time.monotonic()
        while not self._answer.done():
            await asyncio.wait({self._answer}, timeout=_STEP)
            if self._answer.done() or not self._child.alive:
                break
            current = self.cpu_used
            if current > cpu_used + _STEP / 2:
                cpu_used, progressed_at = current, time.monotonic()
            if current > cpu or time.monotonic() - progressed_at > idle or self._child.resident_bytes() > max_bytes:
                return False
        return True

    async def end(self) -> None:
        """Stop waiting for the answer."""
        self._answer.cancel()
        with suppress(OSError, asyncio.CancelledError):
            await self._answer
