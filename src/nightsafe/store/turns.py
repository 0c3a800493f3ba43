"""Long work in parts: between them everybody else on the event loop has a turn.

Of all that is long, however many requests ask for it, one part runs in a turn of the loop. So others wait for one
part at the most, and a part is to be short: `PART` rows, a millisecond or two.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from typing import Final, TypeVar
from weakref import WeakKeyDictionary

PART: Final = 50
"""Rows of the usual kind after which there is to be a turn."""

T = TypeVar("T")


class _Turns:
    """Who waits for a turn on one loop, in the order in which they came."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def turn(self) -> None:
        """Wait until it is one's turn."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append(future)
        if len(self._waiting) == 1:
            self._loop.call_soon(self._grant)
        await future

    def _grant(self) -> None:
        """Let the first go on who still waits; the next one in the loop's next turn."""
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                break
        if self._waiting:
            self._loop.call_soon(self._grant)


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, _Turns] = WeakKeyDictionary()


async def turn() -> None:
    """Let others go on; what comes next may take as long as a part."""
    loop = asyncio.get_running_loop()
    if loop not in _turns:
        _turns[loop] = _Turns(loop)
    await _turns[loop].turn()


async def in_turns(items: Iterable[T], size: int = PART) -> AsyncIterator[T]:
    """The same items, with a turn for others before each so many of them but the first."""
    for index, item in enumerate(items):
        if index and index % size == 0:
            await turn()
        yield item
