"""Requests a list. The two clients differ here: with this one you can await a page, or iterate over all items."""

from collections.abc import AsyncIterator, Generator
from typing import Any, Generic, TypeVar

from nightsafe.client.aio.page import AsyncPage
from nightsafe.client.aio.sender import AsyncSender
from nightsafe.client.call import Call
from nightsafe.client.envelope import ListPage

T = TypeVar("T")
P = TypeVar("P", bound=AsyncPage[Any])


class AsyncPaginator(Generic[P, T]):
    """A list. `await` returns the first page; `async for` iterates over the items of all pages.

    Args:
        sender: sends the calls.
        call: the call for the first page.
        kind: the class of the pages.
    """

    def __init__(self, sender: AsyncSender, call: Call[ListPage[T]], kind: type[P]) -> None:
        self._sender = sender
        self._call = call
        self._kind = kind

    def __await__(self) -> Generator[Any, None, P]:
        """Return the first page."""
        return self._sender.page(self._call, self._kind).__await__()

    async def __aiter__(self) -> AsyncIterator[T]:
        """Yield every item of every page."""
        async for item in await self:
            yield item


def listing(sender: AsyncSender, call: Call[ListPage[T]], kind: type[P]) -> AsyncPaginator[P, T]:
    """Return a list. Nothing is requested yet."""
    return AsyncPaginator(sender, call, kind)
