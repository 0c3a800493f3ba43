"""Whether others on the event loop have turns while something long is done."""

import asyncio
from collections.abc import Awaitable


async def turns_during(long: Awaitable[object]) -> int:
    """How many turns somebody else on the loop had meanwhile."""
    turns = 0

    async def bystander() -> None:
        """Count."""
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    standing = asyncio.ensure_future(bystander())
    await long
    standing.cancel()
    return turns
