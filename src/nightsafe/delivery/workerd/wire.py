"""The little of HTTP/1.1 that this process and its workerd speak over unix sockets: no more is ever needed there."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

MAX_HEAD: Final = 16 * 1024
MAX_BODY: Final = 64 * 1024


class MalformedError(Exception):
    """The other side does not speak as agreed."""


class _ClosedError(ConnectionResetError):
    """The connection ended before anything of an answer came."""


class Request(Struct, frozen=True):
    """What was asked."""

    method: str
    path: str
    body: bytes


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request of a connection; None once it is closed.

    Raises:
        MalformedError: it is none.
    """
    head = await _head(reader)
    if head is None:
        return None
    words = head[0].split(" ")
    if len(words) != 3:  # noqa: PLR2004 - method, path and version
        raise MalformedError
    return Request(words[0], words[1], await _body(reader, head))


async def write_answer(writer: asyncio.StreamWriter, status: int, body: bytes | bytearray) -> None:
    """Answer a request; when this returns, the whole body has left this process."""
    writer.write(b"HTTP/1.1 %d .\r\nContent-Length: %d\r\n\r\n" % (status, len(body)))
    if body:
        writer.write(body)
    await writer.drain()


class Caller:
    """A client of one unix socket, with a connection that it keeps; calls wait for each other.

    The other side may close what is idle at any time (workerd does so after some seconds). That shows only when the
    connection is used again, so a call that a kept connection does not answer is made once more on a fresh one. What
    is asked here may be asked twice.

    Args:
        path: of the socket.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """One request and its answer's status and body.

        Raises:
            OSError: the socket cannot be reached, or was closed.
            MalformedError: the answer is none.
        """
        async with self._turn:
            if self._streams is not None:
                with suppress(_ClosedError):
                    return await self._on(self._streams, method, path, body)
            self._streams = await asyncio.open_unix_connection(str(self._path))
            return await self._on(self._streams, method, path, body)

    async def _on(
        self, streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], method: str, path: str, body: bytes
    ) -> tuple[int, bytes]:
        """One request on a connection, which is kept unless something goes wrong with it."""
        try:
            return await self._exchange(*streams, method, path, body)
        except BaseException:
            self.close()
            raise

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, method: str, path: str, body: bytes
    ) -> tuple[int, bytes]:
        """Send a request and read the answer."""
        try:
            writer.write(
                f"{method} {path} HTTP/1.1\r\nHost: admin\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
            )
            await writer.drain()
            head = await _head(reader)
        except ConnectionError:
            raise _ClosedError from None
        if head is None:
            raise _ClosedError
        words = head[0].split(" ", 2)
        if len(words) < 2 or not words[1].isdigit():  # noqa: PLR2004 - version and status
            raise MalformedError
        status = int(words[1])
        return status, b"" if status == 204 else await _body(reader, head)  # noqa: PLR2004 - has no body

    def close(self) -> None:
        """Let go of the connection."""
        if self._streams is not None:
            with suppress(RuntimeError):  # the loop is gone
                self._streams[1].close()
            self._streams = None


async def _head(reader: asyncio.StreamReader) -> list[str] | None:
    """The lines of a head; None when the connection ends before one."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise MalformedError from None
        return None
    except asyncio.LimitOverrunError:
        raise MalformedError from None
    return head.decode("latin-1").split("\r\n")[:-2]


async def _body(reader: asyncio.StreamReader, head: list[str]) -> bytes:
    """The body that a head announces, by its length or in chunks."""
    fields = {name.lower(): content.strip() for name, _, content in (line.partition(":") for line in head[1:])}
    if fields.get("transfer-encoding", "").lower() == "chunked":
        return await _chunks(reader)
    return await _exactly(reader, fields.get("content-length", "0"), 10)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    """A body in chunks."""
    body = b""
    while True:
        chunk = await _exactly(reader, await _line(reader), 16)
        await _exactly(reader, "2", 10)
        if not chunk:
            return body
        body += chunk
        if len(body) > MAX_BODY:
            raise MalformedError


async def _line(reader: asyncio.StreamReader) -> str:
    """The next line, without what ends it."""
    try:
        return (await reader.readuntil(b"\r\n")).decode("latin-1").strip()
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        raise MalformedError from None


async def _exactly(reader: asyncio.StreamReader, size: str, base: int) -> bytes:
    """As many bytes as a number says."""
    try:
        count = int(size, base)
        if not 0 <= count <= MAX_BODY:
            raise MalformedError
        return await reader.readexactly(count)
    except (ValueError, asyncio.IncompleteReadError):
        raise MalformedError from None
