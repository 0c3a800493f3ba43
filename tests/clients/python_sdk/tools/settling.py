"""Helpers to run one test with both clients: results of the asynchronous client are awaited."""

import inspect
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from tests.server import Server

MOST = 10_000


@asynccontextmanager
async def one_client(
    kind: str, synchronous: Callable[..., Any], asynchronous: Callable[..., Any], server: Server
) -> AsyncIterator[Any]:
    """Yield a client of the server with its owner's token: the first class for the kind `sync`, or else the other."""
    settings = {"api_token": server.safe.api_token, "base_url": server.base_url}
    if kind == "sync":
        with synchronous(**settings) as client:
            yield client
        return
    async with asynchronous(**settings) as client:
        yield client


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
