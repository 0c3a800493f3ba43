"""Receivers of audit entries: an HTTPS endpoint and a syslog server, in threads of the test."""

import json
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from tests.clients.tls.authority import Pair

_SECONDS = 60.0


class Received:
    """The lines that a receiver has got. Other threads may wait for them."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self._changed = threading.Condition()

    def add(self, lines: list[bytes]) -> None:
        """Add lines."""
        with self._changed:
            self.lines += lines
            self._changed.notify_all()

    def until(self, holds: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """Wait until a condition on the parsed lines holds; return the lines."""
        with self._changed:
            assert self._changed.wait_for(lambda: holds(self.parsed()), _SECONDS)
            return self.parsed()

    def parsed(self) -> list[dict[str, Any]]:
        """Return the lines as objects."""
        return [json.loads(line) for line in self.lines]


def server_context(pair: Pair) -> ssl.SSLContext:
    """Return the TLS settings of a server with a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    return context


class Endpoint:
    """An HTTPS endpoint, or an HTTP endpoint without a certificate.

    Args:
        pair: the certificate and its key, or None.

    Attributes:
        received: the lines of all requests that get or would get a 2xx status.
        seen: the headers of each request.
        status: the status to answer with; only 2xx accepts the lines.
        may_answer: answers wait for it.
        asked: set when a request has arrived.
    """

    def __init__(self, pair: Pair | None = None) -> None:
        self.received = Received()
        self.seen: list[dict[str, str]] = []
        self.status = 204
        self.may_answer, self.asked = threading.Event(), threading.Event()
        self.may_answer.set()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            """Takes the requests."""

            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                """Take a batch."""
                body = self.rfile.read(int(self.headers["content-length"]))
                endpoint.seen.append({name.lower(): value for name, value in self.headers.items()})
                status = endpoint.status
                if 200 <= status < 300:
                    endpoint.received.add(body.splitlines())
                endpoint.asked.set()
                endpoint.may_answer.wait(_SECONDS)
                with suppress(OSError):
                    self.send_response(status)
                    self.send_header("content-length", "0")
                    self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Print nothing."""

        class Quiet(ThreadingHTTPServer):
            """Prints no errors of connections."""

            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                """Print nothing."""

        self._server = Quiet(("127.0.0.1", 0), Handler)
        if pair:
            self._server.socket = server_context(pair).wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        scheme = "https" if pair else "http"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_address[1]}/in?index=audit"

    def __enter__(self) -> Self:
        """Start."""
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.may_answer.set()
        self._server.shutdown()
        self._server.server_close()


class SyslogServer:
    """A syslog server that reads octet-counted frames until the sender ends the connection.

    Args:
        pair: the certificate and its key, or None for plain TCP.

    Attributes:
        received: the texts of all messages.
        headers: everything before the text of each message.
    """

    def __init__(self, pair: Pair | None = None) -> None:
        self.received = Received()
        self.headers: list[str] = []
        self._context = server_context(pair) if pair else None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"syslog+{'tls' if pair else 'tcp'}://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        """Start."""
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        """Take one connection after another."""
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with suppress(OSError), connection:
                    self._read(connection)

    def _read(self, connection: socket.socket) -> None:
        """Read a connection to its end, then end it too."""
        secured = self._context.wrap_socket(connection, server_side=True) if self._context else connection
        content = b""
        while part := secured.recv(65536):
            content += part
        texts = []
        while content:
            length, _, rest = content.partition(b" ")
            message, content = rest[: int(length)], rest[int(length) :]
            head, brace, text = message.partition(b"{")
            self.headers.append(head.decode())
            texts.append(brace + text)
        self.received.add(texts)
        if isinstance(secured, ssl.SSLSocket):
            with suppress(OSError):
                secured = secured.unwrap()
        secured.close()
