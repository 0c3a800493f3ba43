"""HTTP/1.1 on kept sockets, from bytes to an answer: sends exactly the bytes that it is given."""

import asyncio
import time
from contextlib import suppress
from typing import Final

from msgspec import Struct

_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length:"
_INTERIM: Final = b"HTTP/1.1 1"
_NO_BODY: Final = frozenset({204, 304})


class Answer(Struct, frozen=True):
    """The answer to a request.

    Attributes:
        status: 0 when the connection ended without an answer, -1 when nothing came in time.
        data: all received bytes.
        seconds: the time that the answer took.
    """

    status: int
    data: bytes
    seconds: float

    @property
    def body(self) -> bytes:
        """Return what follows the head."""
        return self.data.partition(_HEAD_END)[2]


class _Stream(asyncio.Protocol):
    """A connection, and the answer that is awaited on it."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.bare = self.over = False
        self.answer: asyncio.Future[int] | None = None

    def data_received(self, data: bytes) -> None:
        """Keep the data, and set the answer when it is whole."""
        self.received += data
        if self.answer is None or self.answer.done():
            return
        while self.received.startswith(_INTERIM) and _HEAD_END in self.received:
            del self.received[: self.received.find(_HEAD_END) + len(_HEAD_END)]
        status = _status_of_whole(self.received, bare=self.bare)
        if status:
            self.answer.set_result(status)

    def connection_lost(self, _: Exception | None) -> None:
        """Note that the server hung up, before an answer or between two requests."""
        self.over = True
        if self.answer is not None and not self.answer.done():
            ended = self.received.startswith(b"HTTP/") and _HEAD_END in self.received
            self.answer.set_result(int(self.received[9:12]) if ended else 0)


class Connection:
    """A client that sends, waits for the whole answer, and connects again when the server has hung up.

    Args:
        port: a port on loopback.
        timeout: the seconds after which it waits no longer.
    """

    def __init__(self, port: int, timeout: float) -> None:
        self._port = port
        self._timeout = timeout
        self._transport: asyncio.Transport | None = None
        self._stream = _Stream()

    async def ask(self, data: bytes, *, bare: bool = False, last: bool = False) -> Answer:
        """Send a request.

        Args:
            data: the bytes of the request.
            bare: whether the answer has no body, even if it announces one (HEAD).
            last: whether nothing follows on this connection; closing this side of it says so.
        """
        if self._transport is None or self._stream.over or self._transport.is_closing():
            self._transport, self._stream = await asyncio.get_running_loop().create_connection(
                _Stream, "127.0.0.1", self._port
            )
        stream = self._stream
        stream.received, stream.bare = bytearray(), bare
        stream.answer = asyncio.get_running_loop().create_future()
        began = time.perf_counter()
        self._transport.write(data)
        if last and not self._transport.is_closing():
            with suppress(OSError):  # the server has hung up already
                self._transport.write_eof()
        try:
            async with asyncio.timeout(self._timeout):
                status = await stream.answer
        except TimeoutError:
            status = -1
        answer = Answer(status, bytes(stream.received), time.perf_counter() - began)
        if last or status <= 0 or b"connection: close" in answer.data[: answer.data.find(_HEAD_END)].lower():
            self.close()
        return answer

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None


def _status_of_whole(data: bytearray, *, bare: bool) -> int:
    """Return the status of a whole answer, else 0."""
    end = data.find(_HEAD_END)
    if end < 0:
        return 0
    head, status = bytes(data[:end]).lower(), int(data[9:12])
    if bare or status in _NO_BODY:
        return status
    at = head.find(_LENGTH)
    if at < 0:
        return status if b"transfer-encoding: chunked" not in head or data.endswith(b"0\r\n\r\n") else 0
    length = int(head[at + len(_LENGTH) :].split(b"\r\n", 1)[0])
    return status if len(data) >= end + len(_HEAD_END) + length else 0
