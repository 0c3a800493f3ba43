"""The client's transport: kept, broken and slow connections, compression and proxies."""

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
    """A listener that answers every request in the same way and counts its connections."""

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
        """Answer each request; requests have no bodies."""
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
        """Close all connections."""
        self._listener.close()
        for connection in self._open:
            connection.close()


@contextmanager
def peer(answer: Callable[[socket.socket], None] = lambda to: to.sendall(PLAIN)) -> Iterator[Peer]:
    """Yield a peer for one test."""
    made = Peer(answer)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(params=[(Nightsafe, HttpTransport), (AsyncNightsafe, AsyncHttpTransport)], ids=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> Any:
    """Return each client with its transport."""
    return request.param


async def get(client: Any) -> Any:
    """Get one secret."""
    return await settled(client.workers.scripts.secrets.get("S", **GET))


async def test_connections_are_kept(kind: Any) -> None:
    """Three calls use one connection; copies of a client use it too."""
    with peer() as server:
        client = kind[0](api_token="x", base_url=f"http://127.0.0.1:{server.port}/v4")
        for each in (client, client.with_options(max_retries=0), client):
            assert SecretText("S") == await get(each)
        await settled(client.close())

        assert (1, 3) == (server.connections, len(server.requests))
        assert server.requests[0].startswith(b"GET /v4/accounts/")


async def test_a_closed_connection_is_replaced(kind: Any) -> None:
    """After the server has closed the connection, the next call opens another."""
    gone = threading.Event()

    def answer_and_go(to: socket.socket) -> None:
        """Answer, and close the connection without a header that says so."""
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


async def test_compressed_answers_are_read(kind: Any) -> None:
    """A compressed answer is read; a damaged one raises APIConnectionError."""
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
async def test_an_invalid_answer_is_a_connection_error(kind: Any, answer: bytes) -> None:
    """The client raises APIConnectionError."""

    def cut(to: socket.socket) -> None:
        """Send a part and close the connection."""
        to.sendall(answer)
        to.shutdown(socket.SHUT_RDWR)

    with peer(cut) as server:
        client = kind[0](api_token="x", base_url=f"http://127.0.0.1:{server.port}", max_retries=0)
        with pytest.raises(APIConnectionError) as raised:
            await get(client)
        await settled(client.close())

    assert not isinstance(raised.value, APITimeoutError)
    assert isinstance(raised.value.__cause__, ConnectionError)


async def test_a_closed_port_is_a_connection_error(kind: Any) -> None:
    """The client raises APIConnectionError."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    client = kind[0](api_token="x", base_url=f"http://127.0.0.1:{port}", max_retries=0)

    with pytest.raises(APIConnectionError):
        await get(client)
    await settled(client.close())


async def test_a_missing_answer_is_a_timeout(kind: Any) -> None:
    """The client raises APITimeoutError."""
    with peer(lambda _: None) as server:
        client = kind[0](api_token="x", base_url=f"http://127.0.0.1:{server.port}", max_retries=0)
        with pytest.raises(APITimeoutError):
            await get(client.with_options(timeout=Timeout(read=0.05)))
        await settled(client.close())


async def test_the_proxy_is_used_except_for_this_machine(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's proxy is used with its password, but not for this machine; a proxy argument works too."""
    with peer() as proxy, peer() as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:p%40ss@127.0.0.1:{proxy.port}")
        make, transport = kind
        by_environment = make(api_token="x", base_url="http://safe.test/v4")
        await get(by_environment)
        direct = make(api_token="x", base_url=f"http://127.0.0.1:{server.port}")
        await get(direct)
        monkeypatch.delenv("HTTP_PROXY")
        given = httpcore.Proxy(f"http://127.0.0.1:{proxy.port}")
        given_proxy = make(api_token="x", base_url="http://other.test", http_client=transport(proxy=given))
        await get(given_proxy)
        for client in (by_environment, direct, given_proxy):
            await settled(client.close())

        assert 2 == len(proxy.requests)
        assert proxy.requests[0].startswith(b"GET http://safe.test/v4/accounts/")
        assert proxy.requests[1].startswith(b"GET http://other.test/accounts/")
        assert b"proxy-authorization: basic bwu6cebzcw==" in proxy.requests[0].lower()
        assert 1 == len(server.requests)


@pytest.mark.parametrize("proxy", ["garbage:x", "ftp://host", "http://", "http://host:port", "socks5://127.0.0.1:9"])
async def test_an_invalid_proxy_is_a_connection_error(kind: Any, monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    """The client raises APIConnectionError with the reason and does not connect without the proxy."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    client = kind[0](api_token="x", base_url="https://safe.test", max_retries=0)

    with pytest.raises(APIConnectionError) as raised:
        await get(client)

    assert isinstance(raised.value.__cause__, UnusableProxyError)
    await settled(client.close())


async def test_a_transport_can_use_a_unix_socket(kind: Any, tmp_path: Any) -> None:
    """A transport can connect to a Unix socket."""
    path = tmp_path / "socket"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        """Answer one request."""
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(PLAIN)

    threading.Thread(target=serve, daemon=True).start()
    client = kind[0](api_token="x", base_url="http://safe.test", http_client=kind[1](uds=str(path)))
    assert SecretText("S") == await get(client)
    await settled(client.close())
    listener.close()
