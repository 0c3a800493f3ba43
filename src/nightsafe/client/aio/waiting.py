"""Waiting, in which the two clients differ."""

import anyio
import httpcore


async def sleep(seconds: float) -> None:
    """Let time pass."""
    await anyio.sleep(seconds)


def close_when_forgotten(owner: object, pool: httpcore.AsyncConnectionPool) -> None:
    """Nothing: what is left open can only be closed where one can wait."""
