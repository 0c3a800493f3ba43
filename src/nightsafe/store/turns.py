"""Splits long work into parts, and lets other tasks on the event loop run between them.

However many requests start long work, only one part runs in each iteration of the loop. So other tasks wait for at
most one part, and each part should be short: `PART` rows, which take a millisecond or two.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Final, TypeVar
from weakref import WeakKeyDictionary

PART: Final = 50
"""The number of ordinary rows to process before other tasks run."""

T = TypeVar("T")


class _Turns:
    """The tasks that wait for a turn on one loop, in order of arrival."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def turn(self) -> None:
        """Wait for the caller's turn."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append(future)
        if len(self._waiting) == 1:
            self._loop.call_soon(self._grant)
        await future

    def _grant(self) -> None:
        """Resume the first task that still waits; resume the next one in the loop's next iteration."""
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                break
        if self._waiting:
            self._loop.call_soon(self._grant)


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, _Turns] = WeakKeyDictionary()


async def turn() -> None:
    """Let other tasks run; the caller's next work may take as long as one part."""
    loop = asyncio.get_running_loop()
    if loop not in _turns:
        _turns[loop] = _Turns(loop)
    await _turns[loop].turn()


async def page_of(parts: AsyncIterator[Sequence[T]], offset: int, limit: int) -> list[T]:
    """Return `limit` items after `offset` others, and take no more parts than that needs."""
    page: list[T] = []
    async for part in parts:
        page += part[offset : offset + limit - len(page)]
        offset = max(0, offset - len(part))
        if len(page) == limit:
            break
    return page


async def in_turns(items: Iterable[T], size: int = PART) -> AsyncIterator[T]:
    """Yield the same items, and let other tasks run after every `size` items."""
    for index, item in enumerate(items):
        if index and index % size == 0:
            await turn()
        yield item
