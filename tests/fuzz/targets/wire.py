"""The little of HTTP/1.1 between the delivery process and its workerd."""

import asyncio

from nightsafe.delivery.workerd.wire import MAX_BODY, MalformedError, read_request


def one(data: bytes) -> None:
    """Requests are read one after the other, or the connection is malformed; nothing else, and no endless body."""
    asyncio.run(_read(data))


async def _read(data: bytes) -> None:
    """Read all of a connection."""
    reader = asyncio.StreamReader(limit=16 * 1024)
    reader.feed_data(data)
    reader.feed_eof()
    try:
        while (request := await read_request(reader)) is not None:
            assert len(request.body) <= MAX_BODY
    except MalformedError:
        return
