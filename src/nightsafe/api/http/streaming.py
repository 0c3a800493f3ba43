"""Builds and sends answers with large contents, which are read slice by slice as the client receives them.

The body only marks the places of the contents. So an answer of 60 MB takes the memory of one slice, and code that
changes the answer (`with_notices`) changes a small body.
"""

import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, Final, NamedTuple

import msgspec

from nightsafe.api.http.envelope import Headers, Insert, Reply, with_inserts
from nightsafe.services.scripts.content import SLICE
from nightsafe.store.turns import turn

_SMALL: Final = 64 * 1024

Send = Callable[[dict[str, Any]], Awaitable[None]]
Slices = Callable[[], AsyncIterator[bytes]]


class ReplyBuilder:
    """Builds an answer with large contents, from its beginning to its end."""

    def __init__(self) -> None:
        self._body = bytearray()
        self._inserts: list[Insert] = []

    def add(self, text: bytes) -> None:
        """Append bytes."""
        self._body += text

    def insert(self, size: int, slices: Slices) -> None:
        """Append contents of this many bytes."""
        self._inserts.append(Insert(len(self._body), size, slices))

    def insert_base64(self, size: int, slices: Slices) -> None:
        """Append contents of this many bytes, in base64. Each slice except the last has a multiple of three bytes."""
        self.insert(-(-size // 3) * 4, lambda: _in_base64(slices()))

    def reply(self, headers: Headers) -> Reply:
        """Return a 200 with everything added."""
        return Reply(200, bytes(self._body), headers, tuple(self._inserts))

    def reply_in_envelope(self) -> Reply:
        """Return a 200 in an envelope; everything added is one JSON value, its result."""
        return with_inserts(bytes(self._body), self._inserts)


class File(NamedTuple):
    """A file and its contents, for a JSON answer.

    Attributes:
        fields: the other members of the JSON object.
        size: the size of the contents in bytes.
        slices: yields the contents.
    """

    fields: dict[str, Any]
    size: int
    slices: Slices


def success_with_files(result: dict[str, Any], files: Iterable[File], member: str) -> Reply:
    """Return a 200 with a result that has `modules`, each with its contents in base64.

    Args:
        result: the other members.
        files: the modules.
        member: the name of the member with the contents, in each module.
    """
    builder, encode, comma = ReplyBuilder(), msgspec.json.encode, b""
    builder.add(encode(result)[:-1] + b',"modules":[')
    for file in files:
        builder.add(comma + encode(file.fields)[:-1] + b',"%b":"' % member.encode())
        builder.insert_base64(file.size, file.slices)
        builder.add(b'"}')
        comma = b","
    builder.add(b"]}")
    return builder.reply_in_envelope()


async def slices_of(body: bytes) -> AsyncIterator[bytes]:
    """Yield contents that are in memory, slice by slice."""
    for start in range(0, len(body), SLICE):
        await turn()
        yield body[start : start + SLICE]


async def send_reply(send: Send, reply: Reply) -> None:
    """Send the ASGI messages of a reply: two, or more for a large one.

    Raises:
        NightsafeError: contents cannot be read to their end. The answer is cut off there, and the client can detect
            that by the Content-Length.
    """
    headers = [*reply.headers, (b"content-length", b"%d" % reply.size)]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if reply.inserts:
        async for part in _join_small_pieces(_pieces(reply)):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    else:
        await send({"type": "http.response.body", "body": reply.body})


async def join_small_reply(reply: Reply) -> Reply:
    """Return a small answer in one piece, and a large one unchanged."""
    if not reply.inserts or reply.size > _SMALL:
        return reply
    return Reply(reply.status, b"".join([piece async for piece in _pieces(reply)]), reply.headers)


async def _pieces(reply: Reply) -> AsyncIterator[bytes]:
    """Yield the body, piece by piece."""
    at = 0
    for insert in reply.inserts:
        yield reply.body[at : insert.at]
        async for part in insert.slices():
            yield part
        at = insert.at
    yield reply.body[at:]


async def _join_small_pieces(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Join small pieces, because each message to the HTTP server costs time."""
    some, size = list[bytes](), 0
    async for part in parts:
        some.append(part)
        size += len(part)
        if size >= _SMALL:
            yield b"".join(some) if len(some) > 1 else part
            some, size = [], 0
    yield b"".join(some)


async def _in_base64(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield slices in base64."""
    async for part in parts:
        yield base64.b64encode(part)
