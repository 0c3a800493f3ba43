"""HTTP/1.1 over a socket: the bytes that go out are exactly those of the test."""

import json
import socket
from collections.abc import Iterable
from http.client import HTTPResponse
from types import TracebackType
from typing import Any, Self

from msgspec import Struct
from tests.server import ACCOUNT, Server

SCRIPTS = f"/client/v4/accounts/{ACCOUNT}/workers/scripts"
JSON = ("Content-Type", "application/json")
MERGE_PATCH = ("Content-Type", "application/merge-patch+json")
_SECONDS = 60
_BOUNDARY = "a-boundary-that-no-part-contains"

Headers = Iterable[tuple[str, str]]


class Answer(Struct, frozen=True):
    """A response as it arrived."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the value of a header by its lower-case name."""
        return dict(self.headers).get(name)

    @property
    def envelope(self) -> dict[str, Any]:
        """Return the body, after checking that it is an envelope that agrees with the status."""
        assert self.header("content-type") == "application/json"
        assert self.body
        envelope: dict[str, Any] = json.loads(self.body)
        assert {"result", "success", "errors", "messages"} == set(envelope) - {"result_info"}
        assert (self.status == 200) == envelope["success"]
        assert envelope["success"] == (not envelope["errors"])
        assert envelope["messages"] == [] or envelope["success"]
        for error in envelope["errors"]:
            assert type(error["code"]) is int
            assert error["message"]
            if error["code"] != 10220:  # wrangler would list the link as a changed secret
                assert error["documentation_url"].startswith("https://developers.cloudflare.com/")
        if not envelope["success"]:
            assert self.status >= 400
            assert envelope["result"] is None
        return envelope

    @property
    def result(self) -> Any:
        """Return the result of a successful request."""
        assert self.status == 200, self.body
        return self.envelope["result"]

    @property
    def refusal(self) -> tuple[int, list[int]]:
        """Return the status and the codes of a refusal."""
        return self.status, [error["code"] for error in self.envelope["errors"]]

    @property
    def messages(self) -> list[str]:
        """Return the messages of a refusal."""
        return [error["message"] for error in self.envelope["errors"]]

    @property
    def pointers(self) -> list[str | None]:
        """Return the pointer of each error of a refusal."""
        return [error.get("source", {}).get("pointer") for error in self.envelope["errors"]]


def _is_over(connection: socket.socket) -> bool:
    """Return True if the server has closed an idle connection."""
    connection.setblocking(False)  # with a timeout `recv` would wait with any flags
    try:
        return not connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    finally:
        connection.settimeout(_SECONDS)


class Wire:
    """A client that keeps its connection and sends `credentials` with every request that names no others.

    Attributes:
        heard: all answers so far.
        connections: the number of connections so far.
    """

    def __init__(self, port: int, credentials: Headers = ()) -> None:
        self._port = port
        self._credentials = tuple(credentials)
        self._socket: socket.socket | None = None
        self.heard: list[Answer] = []
        self.connections = 0

    @classmethod
    def to(cls, server: Server) -> Self:
        """Return a client with the token of the server's owner."""
        return cls(server.port, token_header(server.safe.api_token))

    def __enter__(self) -> Self:
        """Return the client, which connects at the first request."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self.hang_up()

    def hang_up(self) -> None:
        """Close the connection; the next request opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def ask(
        self,
        method: str,
        path: str | bytes,
        body: bytes = b"",
        headers: Headers = (),
        credentials: Headers | None = None,
    ) -> Answer:
        """Send a request and read its answer.

        Args:
            method: the method, sent unchanged.
            path: the request target, sent unchanged.
            body: the body, with a Content-Length if it is not empty or the method usually has a body.
            headers: headers beside Host, Content-Length and the credentials.
            credentials: credentials instead of the client's own.
        """
        own = self._credentials if credentials is None else tuple(credentials)
        self.begin(method, path, len(body), [*headers, *own])
        self.push(body)
        return self.answer(method)

    def chunked(self, method: str, path: str, chunks: bytes) -> Answer:
        """Send a request with a chunked JSON body and read its answer."""
        self.begin(method, path, 0, [JSON, ("Transfer-Encoding", "chunked"), *self._credentials])
        self.push(chunks)
        return self.answer(method)

    def begin(self, method: str, path: str | bytes, length: int, headers: Headers = ()) -> None:
        """Send a request's head."""
        lines = [("Host", f"127.0.0.1:{self._port}"), *headers]
        if ("Transfer-Encoding", "chunked") not in lines and (length or method in {"PUT", "POST", "PATCH"}):
            lines.append(("Content-Length", str(length)))
        target = path if isinstance(path, bytes) else path.encode("latin-1")
        head = method.encode() + b" " + target + b" HTTP/1.1\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in lines).encode("latin-1") + b"\r\n"
        if self._socket is not None and _is_over(self._socket):
            self.hang_up()  # the server closes idle connections
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), _SECONDS)
            self.connections += 1
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(head)

    def push(self, part: bytes) -> None:
        """Send a part of the body; the server may answer and close the connection before it has read everything."""
        assert self._socket is not None
        try:
            self._socket.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            return

    def answer(self, method: str) -> Answer:
        """Read the answer to the last request."""
        assert self._socket is not None
        response = HTTPResponse(self._socket, method=method)
        with response:
            response.begin()
            headers = tuple((name.lower(), value) for name, value in response.getheaders())
            answer = Answer(response.status, headers, response.read())
            last = response.will_close
        if last:
            self.hang_up()
        self.heard.append(answer)
        return answer

    def send(self, method: str, path: str | bytes, value: object, *headers: tuple[str, str]) -> Answer:
        """Send a JSON body, as `application/json` unless `headers` name another type."""
        return self.ask(method, path, json.dumps(value).encode(), headers or [JSON])

    def upload(self, script: str, *bindings: object, **metadata: object) -> Answer:
        """Upload a small script."""
        described = {"main_module": "worker.js", "bindings": bindings, **metadata}
        content_type, body = form({"metadata": json.dumps(described).encode()})
        return self.ask("PUT", f"{SCRIPTS}/{script}", body, [("Content-Type", content_type)])

    def put(self, script: str, name: str, text: str = "a value", **more: object) -> Answer:
        """Put a secret_text."""
        secret = {"name": name, "text": text, "type": "secret_text", **more}
        return self.send("PUT", f"{SCRIPTS}/{script}/secrets", secret)

    def patch(self, script: str, secrets: object, *headers: tuple[str, str], **more: object) -> Answer:
        """Patch secrets in bulk."""
        return self.send("PATCH", f"{SCRIPTS}/{script}/secrets-bulk", {"secrets": secrets, **more}, *headers)

    def names(self, script: str) -> list[str]:
        """Return the names of a script's secrets."""
        return [secret["name"] for secret in self.ask("GET", f"{SCRIPTS}/{script}/secrets").result]


def form(fields: dict[str, bytes], module: bytes = b"export default {};") -> tuple[str, bytes]:
    """Return the Content-Type and the bytes of a form with fields and one module, `worker.js`."""
    parts = [
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + value + b"\r\n"
        for name, value in fields.items()
    ]
    head = 'Content-Disposition: form-data; name="worker.js"; filename="worker.js"\r\n'
    kind = "Content-Type: application/javascript+module\r\n\r\n"
    parts.append(f"--{_BOUNDARY}\r\n{head}{kind}".encode() + module + b"\r\n")
    return f"multipart/form-data; boundary={_BOUNDARY}", b"".join(parts) + f"--{_BOUNDARY}--\r\n".encode()


def send_form(wire: Wire, method: str, path: str, part: str, value: object) -> Answer:
    """Send a form with one JSON part and a module."""
    content_type, body = form({part: json.dumps(value).encode()})
    return wire.ask(method, path, body, [("Content-Type", content_type)])


def token_header(token: str) -> list[tuple[str, str]]:
    """Return the header of a token."""
    return [("Authorization", f"Bearer {token}")]


def text(value: str) -> dict[str, str]:
    """Return a secret_text as bulk requests contain it."""
    return {"type": "secret_text", "text": value}
