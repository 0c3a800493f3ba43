"""The part of HTTP/1.1 that this process and its workerd need to talk over unix sockets."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

MAX_HEAD: Final = 16 * 1024
MAX_BODY: Final = 64 * 1024


class MalformedError(Exception):
    """The other side does not keep to the protocol."""


class _ClosedError(ConnectionResetError):
    """The connection ended before any part of an answer came."""


class Request(Struct, frozen=True):
    """A request."""

    method: str
    path: str
    body: bytes


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """Return the next request of a connection; None when it is closed.

    Raises:
        MalformedError: when the bytes are not a request.
    """
    head = await _read_head(reader)
    if head is None:
        return None
    words = head[0].split(" ")
    if len(words) != 3:  # noqa: PLR2004 - method, path and version
        raise MalformedError
    return Request(words[0], words[1], await _read_body(reader, head))


async def write_answer(writer: asyncio.StreamWriter, status: int, body: bytes | bytearray) -> None:
    """Answer a request; when this returns, the whole body has left this process."""
    writer.write(b"HTTP/1.1 %d .\r\nContent-Length: %d\r\n\r\n" % (status, len(body)))
    if body:
        writer.write(body)
    await writer.drain()


class Caller:
    """A client of one unix socket, with one persistent connection; calls wait for each other.

    The other side may close an idle connection at any time (workerd does so after some seconds). This shows only when
    the connection is used again, so a call that gets no answer on it is repeated on a new connection. All calls must
    therefore be safe to repeat.

    Args:
        path: path of the socket.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Send a request; return the status and the body of the answer.

        Raises:
            OSError: when the socket cannot be reached or was closed.
            MalformedError: when the bytes are not an answer.
        """
        async with self._lock:
            if self._streams is not None:
                with suppress(_ClosedError):
                    return await self._call_on(self._streams, method, path, body)
            self._streams = await asyncio.open_unix_connection(str(self._path))
            return await self._call_on(self._streams, method, path, body)

    async def _call_on(
        self, streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], method: str, path: str, body: bytes
    ) -> tuple[int, bytes]:
        """Send a request on a connection, and close the connection if it fails."""
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
            head = await _read_head(reader)
        except ConnectionError:
            raise _ClosedError from None
        if head is None:
            raise _ClosedError
        words = head[0].split(" ", 2)
        if len(words) < 2 or not words[1].isdigit():  # noqa: PLR2004 - version and status
            raise MalformedError
        status = int(words[1])
        return status, b"" if status == 204 else await _read_body(reader, head)  # noqa: PLR2004 - 204 has no body

    def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            with suppress(RuntimeError):  # the event loop is closed
                self._streams[1].close()
            self._streams = None


async def _read_head(reader: asyncio.StreamReader) -> list[str] | None:
    """Read the lines of a head; return None when the connection ends before it begins."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise MalformedError from None
        return None
    except asyncio.LimitOverrunError:
        raise MalformedError from None
    return head.decode("latin-1").split("\r\n")[:-2]


async def _read_body(reader: asyncio.StreamReader, head: list[str]) -> bytes:
    """Read the body that a head announces, by its length or in chunks."""
    fields = {name.lower(): content.strip() for name, _, content in (line.partition(":") for line in head[1:])}
    if fields.get("transfer-encoding", "").lower() == "chunked":
        return await _read_chunks(reader)
    return await _read_exactly(reader, fields.get("content-length", "0"), 10)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    """Read a body in chunks."""
    body = b""
    while True:
        chunk = await _read_exactly(reader, await _read_line(reader), 16)
        await _read_exactly(reader, "2", 10)
        if not chunk:
            return body
        body += chunk
        if len(body) > MAX_BODY:
            raise MalformedError


async def _read_line(reader: asyncio.StreamReader) -> str:
    """Read the next line, without its line break."""
    try:
        return (await reader.readuntil(b"\r\n")).decode("latin-1").strip()
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        raise MalformedError from None


async def _read_exactly(reader: asyncio.StreamReader, size: str, base: int) -> bytes:
    """Read as many bytes as a number says.

    Args:
        reader: the connection.
        size: the number, as text.
        base: the base of the number.
    """
    try:
        count = int(size, base)
        if not 0 <= count <= MAX_BODY:
            raise MalformedError
        return await reader.readexactly(count)
    except (ValueError, asyncio.IncompleteReadError):
        raise MalformedError from None
