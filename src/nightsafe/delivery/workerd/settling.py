"""Keeps a workerd that is to end from doing so before the work is done that scripts do after they have answered.

workerd ends once its connections have, whatever scripts still do. So it is asked on a connection of its own to say
when they are done (`runtime/entries.js`, `settle`): until it has, it stays.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

_HEAD_SECONDS: Final = 2.0
"""How long the process may take to begin its answer: one that hangs is not waited for."""


@asynccontextmanager
async def settling(admin: Path) -> AsyncIterator[None]:
    """A time in which a process that is asked to end finishes all work first.

    Args:
        admin: the socket on which it is told things.
    """
    writer = await _asked(admin)
    try:
        yield
    finally:
        if writer is not None:
            writer.close()


async def _asked(admin: Path) -> asyncio.StreamWriter | None:
    """The connection on which the answer has begun; None when the process does not answer."""
    writer = None
    with suppress(OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
        async with asyncio.timeout(_HEAD_SECONDS):
            reader, writer = await asyncio.open_unix_connection(str(admin))
            writer.write(b"GET /settle HTTP/1.1\r\nHost: admin\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
    return writer
