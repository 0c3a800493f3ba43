"""Limits the bytes of bodies in memory, because many large uploads at once would exhaust the memory of the process.

The server does not start to read a body until the budget has room for it; until then, TCP holds the sender back.
Small bodies have a budget of their own, so a secret never waits for uploads. A slow body does not keep its share for
long: while others wait, it must arrive at a minimum speed.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from nightsafe.api.http.body import Message, Receive
from nightsafe.errors import Code, NightsafeError
from nightsafe.services.limits import Limits

_UNCOUNTED_BYTES: Final = 64 * 1024
"""Bodies up to this many bytes do not count. Most bodies are far smaller."""

_COPIES: Final = 2
"""The number of copies of a body in memory: the body as it arrives, and its parts."""

_SMALL_SHARE: Final = 4

_MIN_BYTES_PER_SECOND: Final = 256 * 1024
"""The minimum speed of a body while others wait for its memory, in bytes a second."""

_TOO_SLOW: Final = (
    f"the body arrived slower than {_MIN_BYTES_PER_SECOND} bytes a second while other uploads waited; send it again"
)

_GRACE_SHARE: Final = 1 / 3
"""The time before the minimum speed applies to a body, as a share of the longest waiting time."""


class MemoryLane:
    """A budget, and the queue of the bodies that wait for a share of it.

    Args:
        budget: the bytes that may be taken at the same time.
        seconds: the longest time that a body waits.
    """

    def __init__(self, budget: int, seconds: float) -> None:
        self._budget: Final = budget
        self._seconds: Final = seconds
        self._waiting: Final[deque[tuple[int, asyncio.Future[None]]]] = deque()
        self.left = budget
        """The free bytes."""

    @asynccontextmanager
    async def reserve(self, size: int) -> AsyncIterator[None]:
        """Take bytes of the budget while the context is open. A request for more than the whole takes the whole.

        Raises:
            NightsafeError: UNAVAILABLE, when the bytes did not become free in time.
        """
        size = min(size, self._budget)
        await self._take(size)
        try:
            yield
        finally:
            self._release(size)

    def with_minimum_speed(self, receive: Receive) -> Receive:
        """Return a `receive` that fails when the body is slow and others wait, so that the share becomes free.

        Args:
            receive: the ASGI callable that receives the body.
        """
        started, size = time.monotonic(), 0

        async def part() -> Message:
            """Return the next part; raise NightsafeError UNAVAILABLE when the body is too slow."""
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if (
                self._waiting
                and time.monotonic() - started > self._seconds * _GRACE_SHARE + size / _MIN_BYTES_PER_SECOND
            ):
                raise NightsafeError(Code.UNAVAILABLE, _TOO_SLOW)
            return message

        return part

    async def _take(self, size: int) -> None:
        """Wait for a share."""
        if not self._waiting and size <= self.left:
            self.left -= size
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            async with asyncio.timeout(self._seconds):
                await turn
        except BaseException as error:
            self._stop_waiting(size, turn)
            if isinstance(error, TimeoutError):
                refusal = "too many large uploads at once; send this one again in a few seconds"
                raise NightsafeError(Code.UNAVAILABLE, refusal) from None
            raise

    def _stop_waiting(self, size: int, turn: "asyncio.Future[None]") -> None:
        """Stop waiting, and give back a share that was just granted."""
        if turn.done() and not turn.cancelled():
            self._release(size)
            return
        self._waiting.remove((size, turn))
        self._release(0)

    def _release(self, size: int) -> None:
        """Give bytes back, and let the next bodies in."""
        self.left += size
        while self._waiting and self._waiting[0][0] <= self.left:
            wanted, turn = self._waiting.popleft()
            self.left -= wanted
            turn.set_result(None)


class BodyBudget:
    """Admits requests by the size of their bodies.

    Args:
        limits: the budget, the longest time that a body waits for it, and the largest bodies.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits: Final = limits
        self.large: Final = MemoryLane(limits.upload_memory, limits.upload_seconds)
        self.small: Final = MemoryLane(limits.upload_memory // _SMALL_SHARE, limits.upload_seconds)

    def lane(self, headers: Mapping[bytes, bytes]) -> tuple[MemoryLane, int] | None:
        """Return the lane that the body must wait in, and the bytes it needs; None when it need not wait.

        A body of unknown length counts as the longest allowed.
        """
        announced = headers.get(b"content-length")
        if announced is None:
            return (self.large, self._limits.max_upload_bytes * _COPIES) if b"transfer-encoding" in headers else None
        size = int(announced) if announced.isdigit() else self._limits.max_upload_bytes
        if size <= _UNCOUNTED_BYTES:
            return None
        size = min(size, self._limits.max_upload_bytes) * _COPIES
        return (self.small if size <= self._limits.max_body_bytes * _COPIES else self.large), size
