"""A proxy between a node and PostgreSQL that cuts a connection at a chosen moment of a commit."""

import asyncio
from contextlib import suppress
from enum import StrEnum
from typing import Any, Final

_EXECUTE: Final = ord("E")
_QUERY: Final = ord("Q")
_HEADER: Final = 5
_PART: Final = 1 << 16


class Cut(StrEnum):
    """The moments at which the proxy cuts the connection.

    BEFORE: the server never gets the statement.
    UNANSWERED: the server executes the statement, and its answer is lost.
    AT_ONCE: the connection ends as soon as the server may have got the statement.
    AFTER: the answer arrives, and then the connection ends.
    STALL: the statement goes no further, and nothing ends.
    LATE: the statement goes no further until `deliver`, although the node may have given the connection up.
    """

    BEFORE = "before"
    UNANSWERED = "unanswered"
    AT_ONCE = "at_once"
    AFTER = "after"
    STALL = "stall"
    LATE = "late"


class CuttingProxy:
    """Forwards connections to a server, until it is told to cut one.

    Args:
        host: the server's address.
        port: the server's port.

    Attributes:
        cuts: how many connections were cut so far.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._cut: Cut | None = None
        self._contained = b""
        self._refuses = False
        self._ends_others = False
        self._delivery = asyncio.Event()
        self.cuts = 0

    async def start(self) -> int:
        """Start on a free port of loopback, and return the port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    def arm(self, cut: Cut, contained: bytes = b"") -> None:
        """Cut the connection that executes the next statement.

        Args:
            cut: the moment.
            contained: bytes that the statement's messages must contain.
        """
        self._cut, self._contained = cut, contained

    def refuse(self, *, refuses: bool = True) -> None:
        """Refuse new connections, or accept them again."""
        self._refuses = refuses

    def end_others_when_it_cuts(self) -> None:
        """At the next cut, end all other connections, too, and refuse new ones."""
        self._ends_others = True

    def deliver(self) -> None:
        """Let the server have the statements that are late."""
        self._delivery.set()

    async def close(self) -> None:
        """End every connection."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if not self._refuses:
                await self._forward(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward both directions until one ends or is cut."""
        upstream_reader, upstream_writer = await asyncio.open_connection(*self._target)
        after: asyncio.Event = asyncio.Event()
        lost: asyncio.Event = asyncio.Event()
        down = asyncio.create_task(_copy(upstream_reader, writer, after, lost))
        up = asyncio.create_task(self._copy_up(reader, upstream_writer, after, lost, asyncio.current_task()))
        try:
            await asyncio.wait([down, up], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (down, up):
                task.cancel()
            await asyncio.gather(down, up, return_exceptions=True)
            upstream_writer.close()

    def _next_cut(self, data: bytes, own: "asyncio.Task[Any] | None") -> Cut | None:
        """Return how to cut the connection of a task at some messages, if it is time."""
        cut = self._cut if _executes(data) and self._contained in data else None
        if cut is not None:
            self._cut = None
            self.cuts += 1
            if self._ends_others:
                self._refuses = True
                for other in self._tasks - {own}:
                    other.cancel()
        return cut

    async def _copy_up(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        after: asyncio.Event,
        lost: asyncio.Event,
        own: "asyncio.Task[Any] | None",
    ) -> None:
        """Forward what the node sends, and cut when it is time."""
        while data := await reader.read(_PART):
            cut = self._next_cut(data, own)
            if cut is Cut.BEFORE:
                return
            if cut is Cut.STALL:
                await asyncio.Event().wait()
            if cut is Cut.LATE:
                await self._delivery.wait()
            if cut is Cut.UNANSWERED:
                lost.set()
            if cut is Cut.AFTER:
                after.set()
            writer.write(data)
            await writer.drain()
            if cut is Cut.AT_ONCE:
                return


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, after: asyncio.Event, lost: asyncio.Event
) -> None:
    """Forward what the server answers; end after the answer of a statement, or instead of it."""
    with suppress(ConnectionError):
        while data := await reader.read(_PART):
            if lost.is_set():
                return
            writer.write(data)
            await writer.drain()
            if after.is_set():
                return


def _executes(data: bytes) -> bool:
    """Return whether some messages of a client execute a statement.

    https://www.postgresql.org/docs/current/protocol-message-formats.html
    """
    place = 0
    while place + _HEADER <= len(data):
        if data[place] in {_EXECUTE, _QUERY}:
            return True
        place += 1 + int.from_bytes(data[place + 1 : place + _HEADER], "big")
    return False
