"""One test for both clients: what the asynchronous one gives is awaited, what the blocking one gives is there."""

import inspect
from typing import Any


async def settled(given: Any) -> Any:
    """The result of a call to either client."""
    return await given if inspect.isawaitable(given) else given


async def gathered(page: Any) -> list[Any]:
    """Every item that iterating over a page of either client yields."""
    return [item async for item in page] if hasattr(page, "__aiter__") else list(page)
