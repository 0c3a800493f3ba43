"""A small HTTP client, which knows whether a request may have arrived."""

import asyncio
from typing import Final

from msgspec import Struct

_CONNECT_SECONDS: Final = 2.0
_ANSWER_SECONDS: Final = 40.0


class NotSentError(Exception):
    """The request has not reached a server."""


class Answer(Struct, frozen=True):
    """An answer: its status and its body."""

    status: int
    body: bytes


class Client:
    """One connection at a time, to one of several servers: after a failure, to the next one.

    Args:
        addresses: the servers' host names and ports.
        first: the number of the first server to use.
        token: the credentials.
    """

    def __init__(self, addresses: list[tuple[str, int]], first: int, token: str) -> None:
        self._addresses = addresses
        self._number = first
        self._token = token
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: bytes = b"", content_type: str = "application/json") -> Answer:
        """Send a request, and return its answer.

        Raises:
            NotSentError: when no part of the request was sent.
            OSError: when the request may have arrived, and there was no answer.
        """
        reader, writer = self._streams or await self._connect()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: failover\r\nAuthorization: Bearer {self._token}\r\n"
            f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        try:
            writer.write(head.encode() + body)
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await self._answer(reader)
        except (TimeoutError, asyncio.IncompleteReadError, ValueError) as error:
            self.close()
            raise OSError("there was no answer") from error
        except BaseException:
            self.close()
            raise

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to a server."""
        host, port = self._addresses[self._number % len(self._addresses)]
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                self._streams = await asyncio.open_connection(host, port)
        except OSError as error:
            self._number += 1
            raise NotSentError from error
        return self._streams

    async def _answer(self, reader: asyncio.StreamReader) -> Answer:
        """Read an answer."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
        length = next(int(line.partition(":")[2]) for line in head if line.startswith("content-length:"))
        body = await reader.readexactly(length)
        if "connection: close" in head:
            self.close()
        return Answer(int(head[0].split()[1]), body)

    def close(self) -> None:
        """Close the connection; the next request goes to the next server."""
        self._number += 1
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
