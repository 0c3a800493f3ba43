"""One test for both clients: what the asynchronous one gives is awaited, what the blocking one gives is there."""

import inspect
import itertools
from typing import Any

MOST = 10_000


async def settled(given: Any) -> Any:
    """The result of a call to either client."""
    return await given if inspect.isawaitable(given) else given


async def gathered(page: Any) -> list[Any]:
    """Every item that iterating over a page of either client yields: it must come to an end."""
    items: list[Any] = []
    if not hasattr(page, "__aiter__"):
        items += itertools.islice(page, MOST)
    else:
        async for item in page:
            items.append(item)
            if len(items) == MOST:
                break
    assert len(items) < MOST
    return items
