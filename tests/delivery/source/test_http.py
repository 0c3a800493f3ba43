"""The API over HTTP as the delivery process sees it: every failure is one refusal, and no answer is trusted."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from nightsafe.delivery.source.bundle_source import BundleChanges
from nightsafe.delivery.source.http import HttpSource
from nightsafe.errors import Code, NightsafeError

ACCOUNT = "0123456789abcdef0123456789abcdef"
GOOD = {"cursor": "1-aa", "scripts": ["one"], "whole": True, "rolled_back": False}

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def facing(talk: Talk) -> AsyncIterator[HttpSource]:
    """Yield a source whose API serves each connection with `talk`."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        try:
            await talk(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    source = HttpSource(f"http://127.0.0.1:{port}/client/v4", "nst_token", ACCOUNT)
    try:
        yield source
    finally:
        await source.close()
        server.close()


def answering(*answers: bytes) -> tuple[Talk, list[bytes]]:
    """Return a `talk` that gives the answers in turn, the last one for ever, and the list of its requests."""
    asked: list[bytes] = []
    left = list(answers)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer until the client goes away; an empty answer hangs up."""
        while True:
            try:
                asked.append(await reader.readuntil(b"\r\n\r\n"))
            except asyncio.IncompleteReadError:
                return
            answer = left.pop(0) if len(left) > 1 else left[0]
            if not answer:
                return
            writer.write(answer)
            await writer.drain()

    return talk, asked


def ok(body: bytes, status: str = "200 OK") -> bytes:
    """Return an HTTP answer."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def envelope(result: object) -> bytes:
    """Return a successful answer of the API."""
    return ok(json.dumps({"result": result, "success": True, "errors": [], "messages": []}).encode())


async def reason(source: HttpSource) -> str:
    """Return the reason for which `changes` fails."""
    with pytest.raises(NightsafeError) as raised:
        await source.changes("", wait=False)
    assert Code.UNAVAILABLE is raised.value.code
    return raised.value.problems[0].detail


async def test_requests_are_those_of_the_api() -> None:
    """Path, query and credentials are those of the API, on one connection."""
    digest = bytes(range(32))
    talk, asked = answering(envelope(GOOD), ok(b"signed"), ok(b"code"), envelope([{"id": ACCOUNT, "name": "x"}]))
    async with facing(talk) as source:
        assert BundleChanges(cursor="1-aa", scripts=("one",), whole=True) == await source.changes("", wait=True)
        assert b"signed" == await source.bundle("a-script")
        assert b"code" == await source.module(digest)
        assert ACCOUNT == await source.find_account()

    lines = [request.split(b"\r\n")[0].decode() for request in asked]
    at = f"GET /client/v4/accounts/{ACCOUNT}/nightsafe"
    assert lines[0].startswith(f"{at}/changes?after=&wait=25&process=")
    assert [f"{at}/bundles/a-script HTTP/1.1", f"{at}/modules/{digest.hex()} HTTP/1.1"] == lines[1:3]
    assert all(b"\r\nauthorization: Bearer nst_token\r\n" in request for request in asked)


async def test_a_kept_connection_that_ended_is_replaced() -> None:
    """A kept connection that has ended is replaced, once."""
    talk, asked = answering(ok(b"first"), b"", ok(b"second"))
    async with facing(talk) as source:
        assert [b"first", b"second"] == [await source.bundle("x"), await source.bundle("x")]

    assert 3 == len(asked)


async def test_ended_connections_are_not_tried_in_turn() -> None:
    """However many connections were kept, the request goes to a fresh one, and only once."""
    asked, both = [], asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, together with the other connection's, and hang up at the next."""
        await reader.readuntil(b"\r\n\r\n")
        asked.append(b"answered")
        if len(asked) > 1:
            both.set()
        await both.wait()
        writer.write(ok(b"good"))
        await writer.drain()
        await reader.readuntil(b"\r\n\r\n")
        asked.append(b"hung up")

    async with facing(talk) as source:
        await asyncio.gather(source.bundle("x"), source.bundle("y"))
        assert b"good" == await source.bundle("z")

    assert [b"answered", b"answered", b"hung up", b"answered"] == asked


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "the connection to the API was lost"),
        (b"nonsense\r\n\r\n", "the connection to the API was lost"),
        (ok(b"", "403 Forbidden"), "the API refuses the token (403)"),
        (ok(b"", "401 Unauthorized"), "the API refuses the token (401)"),
        (ok(b"planted", "500 Oops"), "the API answered 500"),
        (ok(b"", "302 Found\r\nLocation: http://192.0.2.1/"), "the API answered 302"),
        (ok(b"<html>"), "is not a Nightsafe API"),
        (ok(b'{"result": {"cursor": 1}}'), "is not a Nightsafe API"),
        (ok(b"\xff\xfe"), "is not a Nightsafe API"),
        (ok(b'{"result":' + b"[" * 100_000), "is not a Nightsafe API"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "the connection to the API was lost"),
    ],
)
async def test_an_unexpected_answer_is_refused(answer: bytes, words: str) -> None:
    """The refusal says what is known, and repeats nothing of the answer."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer once and hang up."""
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    async with facing(talk) as source:
        said = await reason(source)

    assert words in said
    assert "planted" not in said


async def test_a_refused_connection_is_reported() -> None:
    """A refused connection is reported in the system's words."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    source = HttpSource(f"http://127.0.0.1:{port}/client/v4", "nst_token", ACCOUNT)

    assert (await reason(source)).startswith("the API cannot be reached: ")
    await source.close()


async def test_long_requests_that_are_cut_become_shorter() -> None:
    """The source asks for shorter waits, and for longer ones again when these get through."""
    waits: list[int] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer at the end of a short wait; hang up when the client wants to wait for 4 seconds or more."""
        while True:
            request = await reader.readuntil(b"\r\n\r\n")
            waits.append(int(request.partition(b"wait=")[2].partition(b"&")[0]))
            await asyncio.sleep(min(waits[-1], 1.2) if waits[-1] < 4 else 1.2)
            if waits[-1] >= 4:
                return
            writer.write(envelope(GOOD))
            await writer.drain()

    async with facing(talk) as source:
        with pytest.raises(NightsafeError):
            await source.changes("1-aa", wait=True)
        await source.changes("1-aa", wait=True)
        await source.changes("1-aa", wait=True)

    assert ([25, 25], 1, 2) == (waits[:2], waits[2], waits[3])


async def test_a_token_for_several_accounts_is_refused() -> None:
    """Such a token cannot be used without choosing an account."""
    talk, _ = answering(envelope([{"id": "a" * 32}, {"id": "b" * 32}]))
    async with facing(talk) as source:
        with pytest.raises(NightsafeError, match="the token is for 2 accounts; choose one with --account-id"):
            await source.find_account()
