"""Keeps a workerd that was asked to end running until scripts have finished their work after their answers.

workerd ends when its last connection ends, even if scripts still work. So a separate connection asks it to say when
they are done (`runtime/dispatcher/entries.js`, `settle`), and this open connection keeps it running until then.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

_HEAD_SECONDS: Final = 2.0
"""How long the process may take to begin its answer; a process that hangs is not waited for."""


@asynccontextmanager
async def finish_work(admin: Path) -> AsyncIterator[None]:
    """Make a process that is asked to end within this context finish all work first.

    Args:
        admin: path of the process's admin socket.
    """
    writer = await _request_settle(admin)
    try:
        yield
    finally:
        if writer is not None:
            writer.close()


async def _request_settle(admin: Path) -> asyncio.StreamWriter | None:
    """Return a connection on which the answer has begun; None when the process does not answer."""
    writer = None
    with suppress(OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
        async with asyncio.timeout(_HEAD_SECONDS):
            reader, writer = await asyncio.open_unix_connection(str(admin))
            writer.write(b"GET /settle HTTP/1.1\r\nHost: admin\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
    return writer
