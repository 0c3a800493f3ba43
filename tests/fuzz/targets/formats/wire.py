"""The part of HTTP/1.1 that the delivery process and its workerd speak."""

import asyncio

from nightsafe.delivery.workerd.wire import MAX_BODY, MalformedError, read_request


def check(data: bytes) -> None:
    """Check that requests are read one after the other or the connection is malformed, and that every body ends."""
    asyncio.run(_read(data))


async def _read(data: bytes) -> None:
    """Read a connection to its end."""
    reader = asyncio.StreamReader(limit=16 * 1024)
    reader.feed_data(data)
    reader.feed_eof()
    try:
        while (request := await read_request(reader)) is not None:
            assert len(request.body) <= MAX_BODY
    except MalformedError:
        return
