"""Many large uploads at once, from outside: a budget of memory lets them in, and nobody keeps it from others."""

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
"""Of an upload: counted twice, so that two do not fit into the smallest budget, of 16 MB."""

_BUFFERED = 2 * _MEGABYTE
"""More than lies between a sender and a server that does not read."""

_SECONDS = 60


class Upload:
    """One upload on a connection of its own, sent as far as it is taken, and never its last byte before `finish`."""

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
    def is_in(self) -> bool:
        """Whether all but its last byte was taken."""
        return len(self._left) == 1

    def push(self) -> None:
        """Send what is taken now."""
        taken = self.socket.send(self._left[: min(len(self._left) - 1, 256 * 1024)])
        self._left, self.sent = self._left[taken:], self.sent + taken

    def finish(self) -> tuple[int, str | None]:
        """Send the last byte; gives the status of the answer, and its Retry-After."""
        assert self.is_in
        self.socket.settimeout(_SECONDS)
        self.socket.sendall(self._left)
        with HTTPResponse(self.socket) as response:
            response.begin()
            response.read()
            return response.status, response.getheader("retry-after")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the smallest budget and one script."""
    safe: Safe = make_safe(tmp_path_factory.mktemp("uploads"))
    with Server(safe, "--upload-memory", "16") as running:
        with Wire.to(running) as wire:
            assert 200 == wire.upload("worker").status
        yield running


@pytest.fixture
def uploads(server: Server) -> Iterator[list[Upload]]:
    """Four that have begun."""
    begun = [Upload(server, f"large-{number}") for number in range(4)]
    yield begun
    for each in begun:
        each.socket.close()


def push_until_one_is_in(uploads: Sequence[Upload]) -> Upload:
    """Send of all of them what is taken, until one is in but for its last byte; gives that one."""
    end = time.monotonic() + _SECONDS
    with selectors.DefaultSelector() as selector:
        for each in uploads:
            selector.register(each.socket, selectors.EVENT_WRITE, each)
        while not (found := [each for each in uploads if each.is_in]):
            assert time.monotonic() < end, [each.sent for each in uploads]
            for key, _ in selector.select(1):
                key.data.push()
    return found[0]


def test_uploads_are_let_in_by_the_budget(server: Server, uploads: list[Upload]) -> None:
    """One is read at a time and the others wait unread, a secret waits for none of them, and all succeed."""
    waiting = list(uploads)
    with Wire.to(server) as wire:
        while waiting:
            first = push_until_one_is_in(waiting)
            waiting.remove(first)
            assert 200 == wire.put("worker", "MEANWHILE").status
            assert ["MEANWHILE"] == wire.names("worker")
            assert all(each.sent < _BUFFERED for each in waiting)
            assert (200, None) == first.finish()


def test_an_upload_that_is_broken_off_gives_its_part_back(uploads: list[Upload]) -> None:
    """Whoever hangs up, while it is read or while it waits, leaves room for the others."""
    read = push_until_one_is_in(uploads)
    waiting = [each for each in uploads if each is not read]
    waiting.pop().socket.close()
    read.socket.close()
    while waiting:
        first = push_until_one_is_in(waiting)
        waiting.remove(first)
        assert (200, None) == first.finish()
