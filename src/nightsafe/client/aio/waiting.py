"""Waits and cleans up. The two clients differ here."""

import anyio
import httpcore


async def sleep(seconds: float) -> None:
    """Wait."""
    await anyio.sleep(seconds)


def close_when_forgotten(owner: object, pool: httpcore.AsyncConnectionPool) -> None:
    """Do nothing: asynchronous connections can only be closed by code that can await."""
