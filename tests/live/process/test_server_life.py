"""The life of the server on its socket: kept connections, an orderly end, new certificates."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.clients.tls.authority import Authority, Pair

from nightsafe.cli.server import listener as listener_module
from nightsafe.cli.server.api_server import ApiServer
from nightsafe.cli.server.listener import HEADER_SECONDS, KEEP_ALIVE, ListeningServer, authority, listen
from nightsafe.cli.tls.files import TlsFiles
from nightsafe.cli.tls.reload_resources import ReloadResources

_GET = b"GET / HTTP/1.1\r\nHost: safe\r\n\r\n"
_LEAST_IDLE = 75
_SECONDS = 30

Application = Callable[[Any, Any, Any], Awaitable[None]]


class Talker:
    """A client that keeps its connection and sends one request after the other.

    Args:
        port: the port of the server.
        trust: the certificates that the client trusts; None for plain HTTP.
    """

    def __init__(self, port: int, trust: ssl.SSLContext | None = None) -> None:
        self.port = port
        self._trust = trust
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, *parts: bytes) -> bytes:
        """Send a request in parts; return the head of the answer, or b"" when there was none."""
        await self.connect()
        assert self._writer is not None
        for part in parts or (_GET,):
            self._writer.write(part)
            await self._writer.drain()
            await asyncio.sleep(0)
        return await self.answer()

    async def connect(self) -> None:
        """Connect, unless there is a connection."""
        if self._writer is None or self._reader is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self._trust)

    def write(self, part: bytes) -> None:
        """Send a part of a request."""
        assert self._writer is not None
        self._writer.write(part)

    def write_eof(self) -> None:
        """Close the sending side."""
        assert self._writer is not None
        self._writer.write_eof()

    async def rest(self) -> bytes:
        """Return all that comes until the server ends the connection."""
        assert self._reader is not None
        with suppress(ConnectionError):
            return await asyncio.wait_for(self._reader.read(), _SECONDS)
        return b""

    async def closed(self) -> None:
        """Wait until the server ends the connection without sending anything more."""
        assert await self.rest() == b""

    async def answer(self) -> bytes:
        """Return the head of the next answer."""
        assert self._reader is not None
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await self._reader.readexactly(int(length.split(b":")[1]))
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        return head

    def certificate(self) -> bytes:
        """Return the certificate that the server has shown."""
        assert self._writer is not None
        shown: bytes = self._writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return shown

    async def close(self) -> None:
        """Close the connection."""
        if self._writer is not None:
            self._writer.close()
            with suppress(OSError):
                await self._writer.wait_closed()


async def hello(_: Any, __: Any, send: Any) -> None:
    """Answer every request alike."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"hi"})


@asynccontextmanager
async def serving(app: Application = hello, tls: TlsFiles | None = None, keep_alive: int = KEEP_ALIVE) -> Any:
    """Yield a server on a free port of loopback, and a function that creates its clients."""
    listener, clients = listen("127.0.0.1", 0), []

    def client(trust: ssl.SSLContext | None = None) -> Talker:
        """Return a client with a connection of its own."""
        clients.append(Talker(port, trust))
        return clients[-1]

    port = int(authority(listener).rsplit(":", 1)[1])
    spare = ReloadResources()
    server = ApiServer(app, listener, (tls, spare) if tls else None, keep_alive)
    try:
        await server.start()
        yield server, client
    finally:
        await server.stop()
        spare.close()
        for talker in clients:
            await talker.close()


def test_the_header_timer_covers_an_idle_connection() -> None:
    """The server's only timer runs from an answer to the end of the next request's head, so it must cover both."""
    with listen("127.0.0.1", 0) as listener:
        server = ListeningServer(hello, listener, None, _LEAST_IDLE)

    assert server.http1_settings is not None
    assert server.http1_settings.header_read_timeout == 1000 * (_LEAST_IDLE + HEADER_SECONDS)
    assert KEEP_ALIVE > 90 > _LEAST_IDLE  # Go's clients end an idle connection after 90 seconds, all others earlier


async def test_a_connection_is_kept() -> None:
    """Many requests go over one connection, also one whose head comes in many parts."""
    async with serving() as (_, client):
        talker = client()
        heads = [await talker.ask() for _ in range(20)] + [await talker.ask(*(b"%c" % byte for byte in _GET))]

    assert all(head.startswith(b"HTTP/1.1 200") and b"connection: close" not in head for head in heads)


async def test_an_orderly_end_loses_no_request() -> None:
    """Under load every request is answered, and each connection's last answer says that it is the last."""
    stopping = asyncio.Event()

    async def talk(talker: Talker) -> list[bytes]:
        """Send requests until the server says that the connection ends."""
        heads: list[bytes] = []
        while not heads or (heads[-1] and b"connection: close" not in heads[-1]):
            heads.append(await talker.ask())
            if len(heads) > 20:
                stopping.set()
        return heads

    async with serving() as (server, client):
        talking = [asyncio.ensure_future(talk(client())) for _ in range(20)]
        await asyncio.wait_for(stopping.wait(), _SECONDS)
        await server.stop()
        ends = [(await heads)[-1] for heads in talking]

    assert all(end.startswith(b"HTTP/1.1 200") and b"connection: close" in end for end in ends)


async def test_an_orderly_end_waits_for_requests_under_way() -> None:
    """A request under way is answered to its end, though the server is told to stop meanwhile."""
    begun, go = asyncio.Event(), asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        """Answer `/` when told to, and any other path at once."""
        if scope["path"] == "/":
            begun.set()
            await go.wait()
        await hello(scope, receive, send)

    async with serving(slow) as (server, client):
        asking = asyncio.ensure_future(client().ask())
        await asyncio.wait_for(begun.wait(), _SECONDS)
        ending = asyncio.ensure_future(server.stop())
        late = await client().ask(_GET.replace(b"GET /", b"GET /late"))
        assert not ending.done()
        go.set()
        await asyncio.wait_for(ending, _SECONDS)

    assert (await asking).startswith(b"HTTP/1.1 200")
    assert b"connection: close" in late


@pytest.fixture
def certificates(tmp_path: Path) -> tuple[Authority, Pair, Pair]:
    """Return an authority and two of its certificates."""
    issuer = Authority(tmp_path, "authority")
    return issuer, issuer.issue("first"), issuer.issue("second")


async def test_new_certificates_are_shown_after_a_renewal(certificates: tuple[Authority, Pair, Pair]) -> None:
    """New connections are shown the new certificate; existing ones go on, and are told to connect again.

    Unusable files change nothing, even if only the server's library finds out that they are unusable.
    """
    issuer, first, second = certificates
    trust = ssl.create_default_context(cafile=str(issuer.certificate))
    async with serving(tls=TlsFiles(first.certificate, first.key)) as (server, client):
        before, fresh = client(trust), client(trust)
        assert b"200" in await before.ask()
        good = first.key.read_bytes()
        first.key.write_bytes(b"nothing of the kind")
        server.renew()
        await _renewed(server)
        assert b"200" in await client(trust).ask()

        first.certificate.write_bytes(second.certificate.read_bytes())
        first.key.write_bytes(second.key.read_bytes())
        server.renew()
        await _renewed(server)
        assert b"200" in await fresh.ask()
        last = await before.ask()

        assert ssl.PEM_cert_to_DER_cert(second.certificate.read_text()) == fresh.certificate()
        assert fresh.certificate() != before.certificate()
        assert b"connection: close" in last
        assert good != first.key.read_bytes()
        for _ in range(20):  # no connection reaches the former server
            another = client(trust)
            assert b"connection: close" not in await another.ask()
            assert another.certificate() == fresh.certificate()


async def _renewed(server: ApiServer) -> None:
    """Wait until the renewal has been tried."""
    renewing = server._renew_task  # nothing else shows a try that changed nothing
    assert renewing is not None
    await asyncio.wait_for(renewing, _SECONDS)


async def test_a_slow_body_outlives_an_idle_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kept connection whose body comes byte by byte outlives an idle one, which the server closes."""
    monkeypatch.setattr(listener_module, "HEADER_SECONDS", 1)

    async def whole(scope: Any, receive: Any, send: Any) -> None:
        """Answer once the whole body has arrived."""
        while (await receive()).get("more_body"):
            pass
        await hello(scope, receive, send)

    async with serving(whole, keep_alive=1) as (_, client):
        idle, slow = client(), client()
        assert b"200" in await idle.ask()
        assert b"200" in await slow.ask()
        slow.write(b"POST / HTTP/1.1\r\nHost: safe\r\nContent-Length: 1000000\r\n\r\n")
        closed, sent = asyncio.ensure_future(idle.closed()), 0
        while not closed.done():
            slow.write(b"x")
            sent += 1
            await asyncio.sleep(0.01)
        slow.write(b"x" * (1_000_000 - sent))
        assert b"200" in await slow.answer()


async def test_a_half_closed_connection_gets_no_half_answer() -> None:
    """The server's library drops the connection: the client sees its end at once, never a part of an answer."""
    async with serving() as (_, client):
        talker = client()
        await talker.connect()
        talker.write(_GET)
        talker.write_eof()
        assert (await talker.rest()) in {b"", await client().ask() + b"hi"}
