"""The socket over which workerd asks for routes and loads. It answers only our own child processes."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

from nightsafe.delivery.load.frame import wipe
from nightsafe.delivery.workerd.wire import MalformedError, Request, read_request, write_answer

BACKLOG: Final = 4096
"""Connections that may wait. A unix socket refuses any more, and workerd makes one for each request."""

_CREDENTIALS: Final = struct.Struct("3i")

Answer = tuple[int, bytes | bytearray]
Handler = Callable[[Request, int], Awaitable[Answer]]
"""Answers a request of the process with this id."""


def unix_socket(path: Path) -> socket.socket:
    """Return a listening unix socket. At no time, not even while it is being made, may other users connect to it."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


class ControlServer:
    """Answers the allowed processes, and closes the connections of all others.

    Args:
        path: path of the socket, in a directory that only this user may enter.
        handler: answers a request. An answer that is a `bytearray` is wiped after it is sent.
        allowed_pids: returns the ids of the allowed processes; called for each connection.
    """

    def __init__(self, path: Path, handler: Handler, allowed_pids: Callable[[], Collection[int]]) -> None:
        self.path: Final = path
        self._handler = handler
        self._allowed_pids = allowed_pids
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Start to listen."""
        self._server = await asyncio.start_unix_server(self._accept, sock=unix_socket(self.path), backlog=BACKLOG)

    async def stop(self) -> None:
        """Close every connection and the socket."""
        if self._server is None:
            return
        self._server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        self.path.unlink(missing_ok=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection, and record it from its first moment so that `stop` always closes it."""
        task = asyncio.create_task(self._serve_all(reader, writer))
        self._connections.add(task)
        task.add_done_callback(lambda done: self._close_connection(done, writer))

    def _close_connection(self, task: "asyncio.Task[None]", writer: asyncio.StreamWriter) -> None:
        """Forget a finished connection, even one that was never served, and close it."""
        self._connections.discard(task)
        writer.close()

    async def _serve_all(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer requests until the connection ends."""
        with suppress(OSError, MalformedError, asyncio.CancelledError):
            await self._serve(reader, writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer request after request, if the peer is an allowed process."""
        writer.transport.set_write_buffer_limits(0)
        pid = peer_pid(writer.get_extra_info("socket"))
        if pid not in self._allowed_pids():
            return
        while (request := await read_request(reader)) is not None:
            status, body = await self._handler(request, pid)
            try:
                await write_answer(writer, status, body)
            finally:
                if isinstance(body, bytearray):
                    wipe(body)


def peer_pid(connection: socket.socket) -> int:
    """Return the id of the process that connected to a unix socket (`SO_PEERCRED`, unix(7))."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid: int = _CREDENTIALS.unpack(raw)[0]
    return pid
