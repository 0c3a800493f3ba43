"""Serves `GET /livez` and `GET /readyz` of a delivery process.

They have a separate socket, because on the main one every path belongs to the scripts.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from nightsafe.delivery.workerd.wire import MalformedError, Request, read_request

_MAX_AT_ONCE: Final = 64
_IDLE_SECONDS: Final = 75.0
_REASONS: Final = {200: b"OK", 404: b"Not Found", 405: b"Method Not Allowed", 503: b"Service Unavailable"}


class Readiness(Struct, frozen=True):
    """Whether scripts can be served.

    Attributes:
        missing: the conditions that are not met; empty when scripts can be served.
        behind: why the process serves the state that it last knew and cannot learn of changes; "" when it can.
    """

    missing: tuple[str, ...] = ()
    behind: str = ""


class Probes:
    """Answers probes. They need no credentials, and reveal nothing but the state of the process.

    Args:
        listener: the socket for probes; `stop` closes it.

    Attributes:
        readiness: returns the readiness at the moment of the call.
    """

    def __init__(self, listener: socket.socket) -> None:
        self._listener: Final = listener
        self._path: Final = listener.getsockname() if listener.family == socket.AF_UNIX else ""
        self.readiness: Callable[[], Readiness] = lambda: Readiness(("the process is starting",))
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Start to listen."""
        kind = asyncio.start_unix_server if self._listener.family == socket.AF_UNIX else asyncio.start_server
        self._server = await kind(self._accept, sock=self._listener)

    async def stop(self) -> None:
        """Close every connection and the socket."""
        if self._server is not None:
            self._server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        self._close()

    def _close(self) -> None:
        """Close the socket, and delete its file if it has a path."""
        if self._listener.family == socket.AF_UNIX:
            Path(self._path).unlink(missing_ok=True)
        self._listener.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Accept a connection, or close it when there are too many."""
        if len(self._connections) >= _MAX_AT_ONCE:
            writer.close()
            return
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(lambda done: self._close_connection(done, writer))

    def _close_connection(self, task: "asyncio.Task[None]", writer: asyncio.StreamWriter) -> None:
        """Forget a finished connection and close it."""
        self._connections.discard(task)
        writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer requests until the connection ends, idles for too long, or sends something other than HTTP."""
        with suppress(OSError, MalformedError, TimeoutError, asyncio.CancelledError):
            while True:
                async with asyncio.timeout(_IDLE_SECONDS):
                    request = await read_request(reader)
                if request is None:
                    return
                status, content = self._answer(request)
                writer.write(_encode_answer(request.method, status, content))
                await writer.drain()

    def _answer(self, request: Request) -> tuple[int, dict[str, Any]]:
        """Return the status and the content of an answer."""
        path = request.path.partition("?")[0]
        if path not in {"/livez", "/readyz"}:
            return 404, {"status": "not found"}
        if request.method not in {"GET", "HEAD"}:
            return 405, {"status": "not allowed"}
        if path == "/livez":
            return 200, {"status": "ok"}
        ready = self.readiness()
        content = {"behind": ready.behind} if ready.behind else {}
        if ready.missing:
            return 503, {"status": "unavailable", "missing": ready.missing, **content}
        return 200, {"status": "ok", **content}


def _encode_answer(method: str, status: int, content: dict[str, Any]) -> bytes:
    """Return the bytes of an answer."""
    body = msgspec.json.encode(content) + b"\n"
    allow = b"Allow: GET, HEAD\r\n" if status == 405 else b""  # noqa: PLR2004 - status 405 requires the header
    head = (
        b"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n%sContent-Length: %d\r\n\r\n"
    )
    return head % (status, _REASONS[status], allow, len(body)) + (b"" if method == "HEAD" else body)
