"""The client of the admin socket: it replaces a kept connection that has closed, and repeats nothing else."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from nightsafe.delivery.workerd.wire import Caller, MalformedError

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
_YES = b"HTTP/1.1 204 No Content\r\n\r\n"


class FakePeer:
    """The other side of a socket: gives fixed answers, and counts connections and requests.

    Args:
        path: the path of the socket.
        answers: for each connection, the answers to its requests in turn; then the connection closes.
    """

    def __init__(self, path: Path, *answers: tuple[bytes, ...]) -> None:
        self.path = path
        self.answers = list(answers)
        self.asked: list[int] = []
        self.closed = asyncio.Event()

    async def start(self) -> asyncio.Server:
        """Start to listen."""
        return await asyncio.start_unix_server(self._connected, self.path)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.asked.append(0)
        for answer in self.answers.pop(0):
            await reader.readuntil(b"\r\n\r\n")
            self.asked[-1] += 1
            writer.write(answer)
        writer.close()
        self.closed.set()


async def test_a_closed_kept_connection_is_replaced(folder: Path) -> None:
    """The call is answered by one request on one fresh connection."""
    peer = FakePeer(folder / "s", (_YES,), (_YES, _YES))
    async with await peer.start():
        caller = Caller(peer.path)
        assert (204, b"") == await caller.call("PUT", "/routes/x", b"{}")
        await peer.closed.wait()
        assert (204, b"") == await caller.call("PUT", "/routes/x", b"{}")
        assert (204, b"") == await caller.call("PUT", "/routes/x", b"{}")
        caller.close()
    assert [1, 2] == peer.asked


async def test_a_connection_that_closes_in_use_is_replaced(folder: Path) -> None:
    """The peer took the request and closed without an answer, as when its end crosses the request."""
    peer = FakePeer(folder / "s", (_YES, b""), (_YES,))
    async with await peer.start():
        caller = Caller(peer.path)
        await caller.call("PUT", "/routes/x", b"{}")
        assert (204, b"") == await caller.call("PUT", "/routes/x", b"{}")
        caller.close()
    assert [2, 1] == peer.asked


async def test_a_fresh_connection_that_closes_is_an_error(folder: Path) -> None:
    """There is a second try and no third."""
    peer = FakePeer(folder / "s", (_YES,), (b"",))
    async with await peer.start():
        caller = Caller(peer.path)
        await caller.call("PUT", "/routes/x", b"{}")
        await peer.closed.wait()
        with pytest.raises(ConnectionResetError):
            await caller.call("PUT", "/routes/x", b"{}")
    assert [1, 1] == peer.asked


async def test_half_an_answer_is_an_error(folder: Path) -> None:
    """A request whose answer ends early is not sent again, because the peer has received it."""
    peer = FakePeer(folder / "s", (_YES, b"HTTP/1.1 20"))
    async with await peer.start():
        caller = Caller(peer.path)
        await caller.call("PUT", "/routes/x", b"{}")
        with pytest.raises(MalformedError):
            await caller.call("PUT", "/routes/x", b"{}")
