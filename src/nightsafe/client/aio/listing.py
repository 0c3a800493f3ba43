"""How a list is asked for, in which the two clients differ: here one may wait for a page, or go through all items."""

from collections.abc import AsyncIterator, Generator
from typing import Any, Generic, TypeVar

from nightsafe.client.aio.page import AsyncPage
from nightsafe.client.aio.sender import AsyncSender
from nightsafe.client.call import Call
from nightsafe.client.envelope import Listed

T = TypeVar("T")
P = TypeVar("P", bound=AsyncPage[Any])


class AsyncPaginator(Generic[P, T]):
    """`await` gives the first page; `async for` goes through the items of all pages.

    Args:
        sender: what sends.
        call: the first page's.
        kind: the class of page.
    """

    def __init__(self, sender: AsyncSender, call: Call[Listed[T]], kind: type[P]) -> None:
        self._sender = sender
        self._call = call
        self._kind = kind

    def __await__(self) -> Generator[Any, None, P]:
        """The first page."""
        return self._sender.page(self._call, self._kind).__await__()

    async def __aiter__(self) -> AsyncIterator[T]:
        """Every item of every page."""
        async for item in await self:
            yield item


def listing(sender: AsyncSender, call: Call[Listed[T]], kind: type[P]) -> AsyncPaginator[P, T]:
    """A list that nothing has asked for yet."""
    return AsyncPaginator(sender, call, kind)
