"""A server that scripts call from work that they continue after their answer."""

import asyncio
from types import TracebackType
from typing import Self

from tests.delivery.runtime import Binding


class Sink:
    """Records the paths that are called; answers `/hold/…` only after `release()`."""

    def __init__(self) -> None:
        self.called: list[str] = []
        self._changed = asyncio.Condition()
        self._open = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Start to listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.binding: Binding = {
            "type": "plain_text",
            "name": "SINK",
            "text": f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}",
        }
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Answer held requests and close."""
        self._open.set()
        self._server.close()

    def release(self) -> None:
        """Answer all held requests, and all later ones at once."""
        self._open.set()

    async def until(self, *paths: str) -> None:
        """Wait until all these paths have been called."""
        async with asyncio.timeout(60), self._changed:
            await self._changed.wait_for(lambda: set(paths) <= set(self.called))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of a connection."""
        try:
            while True:
                path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
                async with self._changed:
                    self.called.append(path)
                    self._changed.notify_all()
                if path.startswith("/hold/"):
                    await self._open.wait()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()  # also when the test ends first
