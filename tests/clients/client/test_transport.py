"""The network under the client: connections that are kept, break, are slow, are TLS, or go through a proxy."""

import asyncio
import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import pytest
from tests.clients.python_sdk.tools.settling import settled
from tests.server import ACCOUNT

from nightsafe.client import (
    APIConnectionError,
    APITimeoutError,
    AsyncHttpTransport,
    AsyncNightsafe,
    HttpTransport,
    Nightsafe,
    SecretText,
    Timeout,
)
from nightsafe.client.network import UnusableProxyError

BODY = b'{"result":{"name":"S","type":"secret_text"},"success":true,"errors":[],"messages":[]}'
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b\r\n%b"
PLAIN = OK % (len(BODY), b"", BODY)
GET = {"account_id": ACCOUNT, "script_name": "s"}


class Peer:
    """A listener that gives the same bytes for every request, and counts its connections."""

    def __init__(self, answer: Callable[[socket.socket], None]) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[bytes] = []
        self.connections = 0
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        """Serve each connection in a thread."""
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        """Answer request after request; none of them has a body."""
        got = b""
        try:
            while chunk := connection.recv(65536):
                got += chunk
                while b"\r\n\r\n" in got:
                    head, got = got.split(b"\r\n\r\n", 1)
                    self.requests.append(head)
                    self._answer(connection)
        except OSError:
            return

    def close(self) -> None:
        """Hang up on everyone."""
        self._listener.close()
        for connection in self._open:
            connection.close()


@contextmanager
def peer(answer: Callable[[socket.socket], None] = lambda to: to.sendall(PLAIN)) -> Iterator[Peer]:
    """A peer for one test."""
    made = Peer(answer)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(params=[(Nightsafe, HttpTransport), (AsyncNightsafe, AsyncHttpTransport)], ids=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> Any:
    """Each client with its transport."""
    return request.param


async def get(client: Any) -> Any:
    """One secret."""
    return await settled(client.workers.scripts.secrets.get("S", **GET))


async def test_connections_are_kept(kind: Any) -> None:
    """Three calls, one connection; copies of a client use it as well."""
    with peer() as server:
        client = kind[0](api_token="x", base_url=f"http://127.0.0.1:{server.port}/v4")
        for one in (client, client.with_options(max_retries=0), client):
            assert SecretText("S") == await get(one)
        await settled(client.close())

        assert (1, 3) == (server.connections, len(server.requests))
        assert server.requests[0].startswith(b"GET /v4/accounts/")


async def test_a_connection_that_was_closed_meanwhile(kind: Any) -> None:
    """The next call makes another."""
    gone = threading.Event()

    def answer_and_go(to: socket.socket) -> None:
        """Answer, and say nothing of hanging up."""
        to.sendall(PLAIN)
        to.shutdown(socket.SHUT_RDWR)
        gone.set()

    with peer(answer_and_go) as server:
        client = kind[0](api_token="x", base_url=f"http://127.0.0.1:{server.port}")
        assert SecretText("S") == await get(client)
        assert await asyncio.to_thread(gone.wait, 10)
        assert SecretText("S") == await get(client)
        await settled(client.close())

        assert 2 == len(server.requests)


async def test_compressed_answers(kind: Any) -> None:
    """They are read; damaged ones are a broken connection."""
    packed = gzip.compress(BODY)
    answers = [
        OK % (len(packed), b"Content-Encoding: gzip\r\n", packed),
        OK % (2, b"Content-Encoding: gzip\r\n", b"xx"),
    ]
    with peer(lambda to: to.sendall(answers.pop(0))) as server:
        client = kind[0](api_token="x", base_url=f"http://127.0.0.1:{server.port}", max_retries=0)
        assert SecretText("S") == await get(client)
        with pytest.raises(APIConnectionError):
            await get(client)
        await settled(client.close())


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", b"nonsense\r\n\r\n", b"\xff\0"]
)
async def test_answers_that_end_early_or_are_none(kind: Any, answer: bytes) -> None:
    """APIConnectionError."""

    def cut(to: socket.socket) -> None:
        """Send a part, then hang up."""
        to.sendall(answer)
        to.shutdown(socket.SHUT_RDWR)

    with peer(cut) as server:
        client = kind[0](api_token="x", base_url=f"http://127.0.0.1:{server.port}", max_retries=0)
        with pytest.raises(APIConnectionError) as raised:
            await get(client)
        await settled(client.close())

    assert not isinstance(raised.value, APITimeoutError)
    assert isinstance(raised.value.__cause__, ConnectionError)


async def test_nobody_listens(kind: Any) -> None:
    """APIConnectionError."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    client = kind[0](api_token="x", base_url=f"http://127.0.0.1:{port}", max_retries=0)

    with pytest.raises(APIConnectionError):
        await get(client)
    await settled(client.close())


async def test_an_answer_that_does_not_come(kind: Any) -> None:
    """APITimeoutError."""
    with peer(lambda _: None) as server:
        client = kind[0](api_token="x", base_url=f"http://127.0.0.1:{server.port}", max_retries=0)
        with pytest.raises(APITimeoutError):
            await get(client.with_options(timeout=Timeout(read=0.05)))
        await settled(client.close())


async def test_through_a_proxy(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that the environment names, with its password; none to this machine, or when one is given."""
    with peer() as proxy, peer() as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:p%40ss@127.0.0.1:{proxy.port}")
        make, transport = kind
        through = make(api_token="x", base_url="http://safe.test/v4")
        await get(through)
        past = make(api_token="x", base_url=f"http://127.0.0.1:{server.port}")
        await get(past)
        monkeypatch.delenv("HTTP_PROXY")
        given = httpcore.Proxy(f"http://127.0.0.1:{proxy.port}")
        told = make(api_token="x", base_url="http://other.test", http_client=transport(proxy=given))
        await get(told)
        for client in (through, past, told):
            await settled(client.close())

        assert 2 == len(proxy.requests)
        assert proxy.requests[0].startswith(b"GET http://safe.test/v4/accounts/")
        assert proxy.requests[1].startswith(b"GET http://other.test/accounts/")
        assert b"proxy-authorization: basic bwu6cebzcw==" in proxy.requests[0].lower()
        assert 1 == len(server.requests)


@pytest.mark.parametrize("proxy", ["garbage:x", "ftp://host", "http://", "http://host:port", "socks5://127.0.0.1:9"])
async def test_a_proxy_that_is_none(kind: Any, monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    """APIConnectionError, and why; nothing is sent past it."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    client = kind[0](api_token="x", base_url="https://safe.test", max_retries=0)

    with pytest.raises(APIConnectionError) as raised:
        await get(client)

    assert isinstance(raised.value.__cause__, UnusableProxyError)
    await settled(client.close())


async def test_a_unix_socket(kind: Any, tmp_path: Any) -> None:
    """A transport may be told to connect to one."""
    path = tmp_path / "socket"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        """One request."""
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(PLAIN)

    threading.Thread(target=serve, daemon=True).start()
    client = kind[0](api_token="x", base_url="http://safe.test", http_client=kind[1](uds=str(path)))
    assert SecretText("S") == await get(client)
    await settled(client.close())
    listener.close()
