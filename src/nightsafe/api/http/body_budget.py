"""A budget of bytes for bodies in memory, because many large uploads at once would end the process.

A body that does not fit waits before any of it is read, while the sender's own network holds it back. Small bodies
have a budget of their own, so a secret never waits for uploads. A slow body does not keep its share for long: while
others wait, it must arrive at a minimum speed.
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

_FREE: Final = 64 * 1024
"""Bodies up to this many bytes are not counted: most are far smaller."""

_TIMES: Final = 2
"""How many times a body is in memory: as it arrives, and as its parts."""

_SMALL_SHARE: Final = 4

_PACE: Final = 256 * 1024
"""The bytes a second at which a body must arrive while others wait for its memory."""

_SLOW: Final = f"it came slower than {_PACE} bytes a second while other uploads waited for it; send it again"

_PATIENCE: Final = 1 / 3
"""The share of their waiting time after which others no longer wait for a slow body."""


class Lane:
    """A budget, and the queue of the bodies that wait for a share of it.

    Args:
        budget: bytes that may be taken at once.
        seconds: for which one waits at the most.
    """

    def __init__(self, budget: int, seconds: float) -> None:
        self._budget: Final = budget
        self._seconds: Final = seconds
        self._waiting: Final[deque[tuple[int, asyncio.Future[None]]]] = deque()
        self.left = budget
        """The free bytes."""

    @asynccontextmanager
    async def held(self, size: int) -> AsyncIterator[None]:
        """Take bytes of the budget, for the time of the context; a request for more than the whole takes the whole.

        Raises:
            NightsafeError: UNAVAILABLE, when it was not one's turn in time.
        """
        size = min(size, self._budget)
        await self._take(size)
        try:
            yield
        finally:
            self._give(size)

    def paced(self, receive: Receive) -> Receive:
        """Return a body that gives its share up when it is slow and others wait.

        Args:
            receive: the ASGI callable that gives the body.
        """
        began, size = time.monotonic(), 0

        async def part() -> Message:
            """Return the next part; NightsafeError UNAVAILABLE when it was too slow."""
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if self._waiting and time.monotonic() - began > self._seconds * _PATIENCE + size / _PACE:
                raise NightsafeError(Code.UNAVAILABLE, _SLOW)
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
            self._leave(size, turn)
            if isinstance(error, TimeoutError):
                refusal = "too many large uploads at once; send it again in a few seconds"
                raise NightsafeError(Code.UNAVAILABLE, refusal) from None
            raise

    def _leave(self, size: int, turn: "asyncio.Future[None]") -> None:
        """Stop waiting, and give back a share that was just granted."""
        if turn.done() and not turn.cancelled():
            self._give(size)
            return
        self._waiting.remove((size, turn))
        self._give(0)

    def _give(self, size: int) -> None:
        """Give bytes back, and let the next bodies in."""
        self.left += size
        while self._waiting and self._waiting[0][0] <= self.left:
            wanted, turn = self._waiting.popleft()
            self.left -= wanted
            turn.set_result(None)


class BodyBudget:
    """Admits requests by the size of their bodies.

    Args:
        limits: the budget, how long one waits for it, and how large bodies may be.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits: Final = limits
        self.large: Final = Lane(limits.upload_memory, limits.upload_seconds)
        self.small: Final = Lane(limits.upload_memory // _SMALL_SHARE, limits.upload_seconds)

    def lane(self, headers: Mapping[bytes, bytes]) -> tuple[Lane, int] | None:
        """Return the lane in which the body must wait, and for how many bytes; None when it need not wait.

        A body of unknown length counts as the longest allowed.
        """
        announced = headers.get(b"content-length")
        if announced is None:
            return (self.large, self._limits.max_upload_bytes * _TIMES) if b"transfer-encoding" in headers else None
        size = int(announced) if announced.isdigit() else self._limits.max_upload_bytes
        if size <= _FREE:
            return None
        size = min(size, self._limits.max_upload_bytes) * _TIMES
        return (self.small if size <= self._limits.max_body_bytes * _TIMES else self.large), size
