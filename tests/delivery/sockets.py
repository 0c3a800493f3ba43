"""A minimal WebSocket client (RFC 6455): short text frames, masked with zeros."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple


class Socket(NamedTuple):
    """An open WebSocket."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, words: bytes) -> None:
        """Send a short text."""
        self.writer.write(bytes((0x81, 0x80 | len(words), 0, 0, 0, 0)) + words)

    async def receive(self) -> bytes:
        """Return the next text."""
        head = await self.reader.readexactly(2)
        return await self.reader.readexactly(head[1])


@asynccontextmanager
async def websocket(port: int, script: str, path: str = "/", *fields: str) -> AsyncIterator[Socket]:
    """Open a WebSocket to a script, with extra header lines."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    upgrade = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
    head = [
        f"GET {path} HTTP/1.1",
        f"Host: {script}.localhost",
        *upgrade,
        f"Sec-WebSocket-Key: {'A' * 22}==",
        *fields,
    ]
    writer.write("\r\n".join([*head, "", ""]).encode())
    try:
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101 "), answer
        yield Socket(reader, writer)
    finally:
        writer.close()
