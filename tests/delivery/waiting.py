"""Waiting for a condition that another process or task brings about."""

import asyncio
from collections.abc import Callable
from inspect import isawaitable
from typing import Any


async def until(holds: Callable[[], Any], seconds: float = 60, *, pause: float = 0.01) -> None:
    """Wait until a condition holds, checking it again and again.

    Args:
        holds: returns whether it holds, or an awaitable of that.
        seconds: after which to fail.
        pause: between two checks, in seconds.
    """
    async with asyncio.timeout(seconds):
        while True:
            found = holds()
            if await found if isawaitable(found) else found:
                return
            await asyncio.sleep(pause)
