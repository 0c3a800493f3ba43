"""Helpers to run one test with both clients: results of the asynchronous client are awaited."""

import inspect
import itertools
from typing import Any

MOST = 10_000


async def settled(given: Any) -> Any:
    """Return the result of a call to either client."""
    return await given if inspect.isawaitable(given) else given


async def gathered(page: Any) -> list[Any]:
    """Return every item of a list of either client, which must end."""
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
