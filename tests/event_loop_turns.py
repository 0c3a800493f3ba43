"""Counts the turns that other tasks on the event loop get while something long is done."""

import asyncio
from collections.abc import Awaitable


async def turns_during(long: Awaitable[object]) -> int:
    """Return how many turns another task on the loop had meanwhile."""
    turns = 0

    async def bystander() -> None:
        """Count turns."""
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    standing = asyncio.ensure_future(bystander())
    await long
    standing.cancel()
    return turns
