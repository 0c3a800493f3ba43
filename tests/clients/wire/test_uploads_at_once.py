"""Several large uploads in parallel: a memory budget admits them, and no client can occupy it."""

import json
import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from http.client import HTTPResponse

import pytest
from tests.clients.wire.talk import SCRIPTS, Wire, form
from tests.server import Safe, Server, make_safe

_MEGABYTE = 1 << 20
_SIZE = 6 * _MEGABYTE
"""Size of an upload; it counts twice, so two uploads do not fit into the smallest budget of 16 MB."""

_BUFFERED = 2 * _MEGABYTE
"""More than the buffers between a sender and a server that does not read can hold."""

_SECONDS = 60


class Upload:
    """An upload on its own connection, sent as fast as the server reads it; `finish` sends the last byte."""

    def __init__(self, server: Server, script: str) -> None:
        fields = json.dumps({"main_module": "worker.js"}).encode()
        content_type, body = form({"metadata": fields}, b"//" + b"x" * _SIZE)
        head = (
            f"PUT {SCRIPTS}/{script} HTTP/1.1\r\nHost: safe\r\nAuthorization: Bearer {server.safe.api_token}\r\n"
            f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._left = memoryview(head.encode() + body)
        self.sent = 0
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
        self.socket.connect(("127.0.0.1", server.port))
        self.socket.setblocking(False)

    @property
    def is_almost_sent(self) -> bool:
        """Return True if everything except the last byte is sent."""
        return len(self._left) == 1

    def push(self) -> None:
        """Send as much as the connection takes now."""
        taken = self.socket.send(self._left[: min(len(self._left) - 1, 256 * 1024)])
        self._left, self.sent = self._left[taken:], self.sent + taken

    def finish(self) -> tuple[int, str | None]:
        """Send the last byte; return the answer's status and its Retry-After."""
        assert self.is_almost_sent
        self.socket.settimeout(_SECONDS)
        self.socket.sendall(self._left)
        with HTTPResponse(self.socket) as response:
            response.begin()
            response.read()
            return response.status, response.getheader("retry-after")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield a server with the smallest budget and one script."""
    safe: Safe = make_safe(tmp_path_factory.mktemp("uploads"))
    with Server(safe, "--upload-memory", "16") as running:
        with Wire.to(running) as wire:
            assert 200 == wire.upload("worker").status
        yield running


@pytest.fixture
def uploads(server: Server) -> Iterator[list[Upload]]:
    """Yield four uploads that have begun."""
    begun = [Upload(server, f"large-{number}") for number in range(4)]
    yield begun
    for each in begun:
        each.socket.close()


def push_until_one_is_almost_sent(uploads: Sequence[Upload]) -> Upload:
    """Send parts of all uploads until one lacks only its last byte; return that upload."""
    end = time.monotonic() + _SECONDS
    with selectors.DefaultSelector() as selector:
        for each in uploads:
            selector.register(each.socket, selectors.EVENT_WRITE, each)
        while not (found := [each for each in uploads if each.is_almost_sent]):
            assert time.monotonic() < end, [each.sent for each in uploads]
            for key, _ in selector.select(1):
                key.data.push()
    return found[0]


def test_the_memory_budget_admits_uploads_one_by_one(server: Server, uploads: list[Upload]) -> None:
    """One upload is read while the others wait unread; a secret does not wait, and all uploads succeed."""
    waiting = list(uploads)
    with Wire.to(server) as wire:
        while waiting:
            first = push_until_one_is_almost_sent(waiting)
            waiting.remove(first)
            assert 200 == wire.put("worker", "MEANWHILE").status
            assert ["MEANWHILE"] == wire.names("worker")
            assert all(each.sent < _BUFFERED for each in waiting)
            assert (200, None) == first.finish()


def test_a_closed_upload_frees_its_memory_budget(uploads: list[Upload]) -> None:
    """A client that closes the connection, during or before the reading of its upload, frees the budget."""
    read = push_until_one_is_almost_sent(uploads)
    waiting = [each for each in uploads if each is not read]
    waiting.pop().socket.close()
    read.socket.close()
    while waiting:
        first = push_until_one_is_almost_sent(waiting)
        waiting.remove(first)
        assert (200, None) == first.finish()
