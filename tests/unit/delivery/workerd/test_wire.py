"""The small HTTP between the delivery process and workerd."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from nightsafe.delivery.workerd.wire import MAX_BODY, Caller, MalformedError, Request, read_request


async def read(data: bytes) -> Request | None:
    """Return the request that is read from these bytes."""
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return await read_request(reader)


@asynccontextmanager
async def caller_of_server(*answers: bytes) -> AsyncIterator[Caller]:
    """Yield a client of a server that gives these answers, one on each connection."""
    rest = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer and close."""
        await reader.readuntil(b"\r\n\r\n")
        writer.write(rest.pop(0))
        writer.close()

    with TemporaryDirectory(prefix="ns-") as name:
        path = Path(name) / "s"
        server = await asyncio.start_unix_server(serve, str(path))
        caller = Caller(path)
        try:
            yield caller
        finally:
            caller.close()
            server.close()
            await server.wait_closed()


async def test_requests_are_read_with_and_without_body() -> None:
    """Requests are read with and without a body, by length and in chunks; a closed connection gives None."""
    plain = await read(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
    sized = await read(b"POST /b HTTP/1.1\r\ncontent-length: 2\r\n\r\nhi")
    chunked = await read(b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1\r\n!\r\n0\r\n\r\n")

    assert (Request("GET", "/a", b""), Request("POST", "/b", b"hi")) == (plain, sized)
    assert Request("POST", "/c", b"hi!") == chunked
    assert await read(b"") is None


@pytest.mark.parametrize(
    "data",
    [
        b"GET",
        b"GET /a\r\n\r\n",
        b"GET /a HTTP/1.1 x\r\n\r\n",
        b"POST /a HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST /a HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhi",
        b"POST /a HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY + 1),
        b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /" + b"a" * 100_000,
    ],
)
async def test_a_malformed_request_is_refused(data: bytes) -> None:
    """Malformed bytes are refused."""
    with pytest.raises(MalformedError):
        await read(data)


async def test_a_call_returns_status_and_body() -> None:
    """A call returns the status and the body; 204 has no body."""
    async with caller_of_server(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", b"HTTP/1.1 204 No Content\r\n\r\n"
    ) as caller:
        assert (200, b"hi") == await caller.call("GET", "/")
        caller.close()
        assert (204, b"") == await caller.call("PUT", "/", b"{}")


@pytest.mark.parametrize(
    "answer", [b"nonsense\r\n\r\n", b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi"]
)
async def test_a_malformed_answer_is_refused(answer: bytes) -> None:
    """A malformed answer is refused and its connection closed; the next call works."""
    async with caller_of_server(answer, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as caller:
        with pytest.raises(MalformedError):
            await caller.call("GET", "/")
        assert (200, b"") == await caller.call("GET", "/")


async def test_an_absent_server_raises_oserror() -> None:
    """A server that closed or does not exist raises OSError."""
    async with caller_of_server(b"") as caller:
        with pytest.raises(ConnectionError):
            await caller.call("GET", "/")
    with pytest.raises(OSError, match="No such file"):
        await caller.call("GET", "/")
