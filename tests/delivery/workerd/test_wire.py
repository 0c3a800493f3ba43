"""The admin socket's client: what was kept and is closed is taken for that, and for nothing else."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from nightsafe.delivery.workerd.wire import Caller, MalformedError

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
_YES = b"HTTP/1.1 204 No Content\r\n\r\n"


class Other:
    """The other side of a socket: answers as it is told, and counts connections and requests.

    Args:
        path: of the socket.
        answers: for each connection, what it answers to one request after the other; then it closes.
    """

    def __init__(self, path: Path, *answers: tuple[bytes, ...]) -> None:
        self.path = path
        self.answers = list(answers)
        self.asked: list[int] = []
        self.closed = asyncio.Event()

    async def start(self) -> asyncio.Server:
        """Listen."""
        return await asyncio.start_unix_server(self._connected, self.path)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.asked.append(0)
        for answer in self.answers.pop(0):
            await reader.readuntil(b"\r\n\r\n")
            self.asked[-1] += 1
            writer.write(answer)
        writer.close()
        self.closed.set()


async def test_a_kept_connection_that_was_closed_is_made_anew(folder: Path) -> None:
    """The call is answered, by one request on one fresh connection."""
    other = Other(folder / "s", (_YES,), (_YES, _YES))
    async with await other.start():
        caller = Caller(other.path)
        assert (204, b"") == await caller.call("PUT", "/routes/x", b"{}")
        await other.closed.wait()
        assert (204, b"") == await caller.call("PUT", "/routes/x", b"{}")
        assert (204, b"") == await caller.call("PUT", "/routes/x", b"{}")
        caller.close()
    assert [1, 2] == other.asked


async def test_one_that_closes_when_it_is_used_is_made_anew(folder: Path) -> None:
    """It took the request and closed without a word, as one does whose end crossed the request."""
    other = Other(folder / "s", (_YES, b""), (_YES,))
    async with await other.start():
        caller = Caller(other.path)
        await caller.call("PUT", "/routes/x", b"{}")
        assert (204, b"") == await caller.call("PUT", "/routes/x", b"{}")
        caller.close()
    assert [2, 1] == other.asked


async def test_a_fresh_one_that_closes_is_deaf(folder: Path) -> None:
    """There is one more try and no third."""
    other = Other(folder / "s", (_YES,), (b"",))
    async with await other.start():
        caller = Caller(other.path)
        await caller.call("PUT", "/routes/x", b"{}")
        await other.closed.wait()
        with pytest.raises(ConnectionResetError):
            await caller.call("PUT", "/routes/x", b"{}")
    assert [1, 1] == other.asked


async def test_half_an_answer_is_none(folder: Path) -> None:
    """What ends within an answer is not asked again: it was heard."""
    other = Other(folder / "s", (_YES, b"HTTP/1.1 20"))
    async with await other.start():
        caller = Caller(other.path)
        await caller.call("PUT", "/routes/x", b"{}")
        with pytest.raises(MalformedError):
            await caller.call("PUT", "/routes/x", b"{}")
