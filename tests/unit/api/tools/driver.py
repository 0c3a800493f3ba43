"""The API in this process: ASGI scopes like the server's, a real store and a real sealer, no sockets."""

import asyncio
import functools
import json
from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import quote, unquote_to_bytes

from msgspec import Struct
from tests.stores import SIGNING_KEY, open_store

from nightsafe.api.app import App
from nightsafe.sealing.interfaces import NoteSigner
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.sealer import SigningSealer
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.services.delivery.admission import DeliveryOptions
from nightsafe.services.identity.administration import Credentials, create_account
from nightsafe.services.limits import Limits
from nightsafe.services.secrets.seal import Safe
from nightsafe.store.scripts import ScriptRef
from nightsafe.store.sqlite import SqliteStore

ACCOUNT = "023e105f4ecef8ad9ca31a8372d0c353"
OTHER_ACCOUNT = "f" * 32
SCRIPTS = f"/client/v4/accounts/{ACCOUNT}/workers/scripts"
MODULE = "application/javascript+module"
BOUNDARY = "a-boundary-that-no-part-contains"
JSON = (b"content-type", b"application/json")

Headers = Sequence[tuple[bytes, bytes]]
T = TypeVar("T")


@functools.cache
def keys() -> tuple[PrivateRing, SigningKey]:
    """Return the key ring that opens, made once, and the key that signs."""
    return PrivateRing.generate(), SIGNING_KEY


@functools.cache
def sealing_safe() -> Safe:
    """Return the safe that seals; it is made once, because it keeps no state."""
    ring, key = keys()
    return Safe(SigningSealer(ring.public(), key), verifier())


def verifier() -> VerifyKeys:
    """Return the key that verifies the safe's signatures."""
    return VerifyKeys([keys()[1].verify_key])


class Answer(Struct, frozen=True):
    """A response as the application sent it."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        """Return the value of a header, by lower-case name."""
        return dict(self.headers).get(name)

    @property
    def envelope(self) -> dict[str, Any]:
        """The body, checked to be an envelope that agrees with the status."""
        envelope: dict[str, Any] = json.loads(self.body)
        assert ["result", "success", "errors", "messages"] == [key for key in envelope if key != "result_info"]
        assert (self.status == 200) == envelope["success"]
        assert envelope["messages"] == [] or envelope["success"]
        assert envelope["success"] is not bool(envelope["errors"])
        if not envelope["success"]:
            assert envelope["result"] is None
        for error in envelope["errors"]:
            assert {"code", "message"} <= set(error)
            assert (error["code"] == 10220) is ("documentation_url" not in error)
            assert type(error["code"]) is int
            assert error["message"].rstrip(".") in {error["message"], error["message"][:-1]}
        return envelope

    @property
    def result(self) -> Any:
        """The result of a success."""
        assert self.status == 200, (self.status, self.body[:500])
        return self.envelope["result"]

    @property
    def codes(self) -> list[int]:
        """The numeric codes of a refusal."""
        return [error["code"] for error in self.envelope["errors"]]

    @property
    def refusal(self) -> tuple[int, list[int]]:
        """The status and codes of a refusal."""
        return self.status, self.codes

    @property
    def messages(self) -> list[str]:
        """The messages of a refusal."""
        return [error["message"] for error in self.envelope["errors"]]

    @property
    def notices(self) -> list[tuple[int, str]]:
        """The notices of a success: the code and the pointer of each."""
        assert self.envelope["success"]
        return [(notice["code"], notice.get("source", {}).get("pointer", "")) for notice in self.envelope["messages"]]

    @property
    def pointers(self) -> list[str | None]:
        """The pointer of each error of a refusal."""
        return [error.get("source", {}).get("pointer") for error in self.envelope["errors"]]


def check_answer(answer: Answer) -> None:
    """Check that an answer is no 5xx, has sound headers, and is an envelope unless it is a script."""
    assert answer.status == 200 or 400 <= answer.status < 500, (answer.status, answer.body[:500])
    names = [name for name, _ in answer.headers]
    assert len(set(names)) == len(names)
    for name, value in answer.headers:
        assert name
        assert name == name.lower()
        assert all(0x20 <= byte < 0x7F for byte in name + value), (name, value)
    assert answer.header(b"content-length") == b"%d" % len(answer.body)
    assert answer.header(b"cache-control") == b"no-store"
    other_types = {b"application/octet-stream", b"text/plain; charset=utf-8"}
    if answer.header(b"cf-entrypoint") is None and answer.header(b"content-type") not in other_types:
        assert answer.header(b"content-type") == b"application/json"
        assert answer.body.endswith(b"\n")
        assert answer.envelope is not None


class Exchange:
    """One request as the server passes it to the application.

    Args:
        scope: the request's ASGI scope.
        parts: parts of the body; after the last one the client waits, or is gone if `cut`.
        cut: whether the client goes away before the body's end.
        silent: whether the body stalls before its end.
    """

    def __init__(
        self, scope: dict[str, Any], parts: Iterable[bytes], *, cut: bool = False, silent: bool = False
    ) -> None:
        self.scope = scope
        self._messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
        if cut:
            self._messages.append({"type": "http.disconnect"})
        elif not silent:
            self._end()
        self._silent = silent
        self.sent: list[Any] = []

    def _end(self) -> None:
        """Mark the last part as the last."""
        if not self._messages:
            self._messages.append({"type": "http.request", "body": b""})
        self._messages[-1]["more_body"] = False

    async def receive(self) -> dict[str, Any]:
        """Return the next part."""
        if self._messages:
            return self._messages.pop(0)
        if self._silent:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        """Record a message."""
        self.sent.append(message)

    @property
    def answer(self) -> Answer | None:
        """The answer that was sent, or None."""
        if not self.sent:
            return None
        start, *rest = self.sent
        assert start["type"] == "http.response.start"
        assert {"http.response.body"} == {message["type"] for message in rest}
        assert [True] * (len(rest) - 1) + [False] == [message.get("more_body", False) for message in rest]
        body = b"".join(message["body"] for message in rest)
        return Answer(start["status"], tuple((bytes(n), bytes(v)) for n, v in start["headers"]), body)


class Api:
    """An application over a store of its own, driven by synchronous calls.

    Args:
        folder: where the store is.
        limits: the limits of requests.
        delivered: the operator's settings of delivery.
        audit_reads: whether the audit log has reads too.
    """

    def __init__(
        self,
        folder: Path,
        limits: Limits | None = None,
        delivered: DeliveryOptions | None = None,
        *,
        audit_reads: bool = False,
    ) -> None:
        self.path = folder / "safe" / "store.db"
        self.delivered = delivered or DeliveryOptions()
        self.limits = limits or Limits()
        self.signer: NoteSigner = SIGNING_KEY  # signs the log after the next `restart`
        self._runner = asyncio.Runner()
        self.store = self.run(self._open())
        self.audit_reads = audit_reads
        self.app = self._new_app()
        self.credentials: Credentials = self.run(
            create_account(self.store, ACCOUNT, "an account", "owner@example.com")
        )
        self.bearer = (b"authorization", b"Bearer " + self.credentials.api_token.encode())

    def _new_app(self) -> App:
        """Return a new application on the store."""
        return App(self.store, sealing_safe(), self.limits, self.delivered, audit_reads=self.audit_reads)

    async def _open(self) -> SqliteStore:
        """Open the store on its loop, at first an empty one."""
        return open_store(self.path, signer=self.signer)

    def __enter__(self) -> Self:
        """Return the API itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the API."""
        self.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the store's loop."""
        return self._runner.get_loop().run_until_complete(work)  # `Runner.run` spends longer on its signal handler

    def restart(self, limits: Limits | None = None, delivered: DeliveryOptions | None = None) -> None:
        """Close the store and reopen it under a new application."""
        self.limits = limits or self.limits
        self.delivered = delivered or self.delivered
        self.run(self.app.close())
        self.run(self.store.close())
        self.store = self.run(self._open())
        self.app = self._new_app()

    def close(self) -> None:
        """Write the waiting audit entries, and close every file."""
        self.run(self.app.close())
        self.run(self.store.close())
        self._runner.close()

    async def router(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Call the application without its fast path for reads of secrets."""
        scope["path"] = scope["raw_path"].decode("latin-1")
        await self.app._router(scope, receive, send)

    def ref(self, script: str) -> ScriptRef:
        """Return the reference of a script of the account."""
        return ScriptRef(ACCOUNT, script)

    def try_send(  # noqa: PLR0913 - a request has many sides
        self,
        method: str,
        target: str | bytes,
        body: bytes | Sequence[bytes] = b"",
        headers: Headers = (),
        *,
        anonymous: bool = False,
        cut: bool = False,
        silent: bool = False,
        to: Callable[..., Any] | None = None,
    ) -> Answer | None:
        """Send one request; return None when it is left without an answer.

        Args:
            method: the request's method.
            target: raw path with, after `?`, the query.
            body: the body as one part or several.
            headers: headers beside the credentials.
            anonymous: whether to leave out the credentials.
            cut: whether the client goes away before the body's end.
            silent: whether the body stalls before its end.
            to: an ASGI callable to call instead of the application.
        """
        all_headers = [*headers] if anonymous else [self.bearer, *headers]
        parts = ([body] if body else []) if isinstance(body, bytes) else list(body)
        exchange = Exchange(scope_of(method, target, all_headers), parts, cut=cut, silent=silent)
        self.run((to or self.app)(exchange.scope, exchange.receive, exchange.send))
        return exchange.answer

    def send(self, method: str, target: str | bytes, *rest: Any, **options: Any) -> Answer:
        """Send a request as `try_send` does; check that there is a sound answer."""
        answer = self.try_send(method, target, *rest, **options)
        assert answer is not None
        check_answer(answer)
        return answer

    def json(self, method: str, target: str | bytes, value: object) -> Answer:
        """Send a JSON value."""
        return self.send(method, target, json.dumps(value).encode(), [JSON])

    def json_anyhow(self, method: str, target: str, value: object) -> Answer:
        """Send a JSON value; the answer may be a 500."""
        answer = self.try_send(method, target, json.dumps(value).encode(), [JSON])
        assert answer is not None
        return answer

    def put(self, script: str, secret: object) -> Answer:
        """PUT one secret."""
        return self.json("PUT", secrets_of(script), secret)

    def patch(self, script: str, secrets: object) -> Answer:
        """PATCH several secrets."""
        return self.json("PATCH", f"{script_at(script)}/secrets-bulk", {"secrets": secrets})

    def upload(self, script: str, metadata: object | None = None, *files: "File", query: str = "") -> Answer:
        """PUT a script: by default a module without bindings."""
        all_files = files or (File("worker.js"),)
        fields = {"main_module": all_files[0].name} if metadata is None else metadata
        body = form(File("metadata", json.dumps(fields).encode(), "application/json", as_file=False), *all_files)
        return self.send("PUT", script_at(script) + query, body, [form_type()])


class File(Struct, frozen=True):
    """One part of a form; `head` replaces its Content-Disposition."""

    name: str
    body: bytes = b"export default {}"
    content_type: str = MODULE
    as_file: bool = True
    head: bytes | None = None

    def part(self) -> bytes:
        """Return the part with its headers."""
        name = self.name.encode().replace(b'"', b"%22").replace(b"\r", b"%0D").replace(b"\n", b"%0A")
        filename = b'; filename="%b"' % name if self.as_file else b""
        head = self.head or b'Content-Disposition: form-data; name="%b"%b' % (name, filename)
        return b"%b\r\nContent-Type: %b\r\n\r\n%b" % (head, self.content_type.encode(), self.body)


def form(*files: File, boundary: str = BOUNDARY) -> bytes:
    """Return a form with these parts."""
    opening = f"--{boundary}\r\n".encode()
    return b"".join(opening + file.part() + b"\r\n" for file in files) + f"--{boundary}--\r\n".encode()


def form_type(boundary: str = BOUNDARY) -> tuple[bytes, bytes]:
    """Return the Content-Type header with the form's boundary."""
    return b"content-type", f"multipart/form-data; boundary={boundary}".encode()


def scope_of(method: str, target: str | bytes, headers: Headers) -> dict[str, Any]:
    """Return an ASGI scope as the server makes it: the raw path unchanged, the query apart."""
    raw = target.encode("latin-1") if isinstance(target, str) else target
    raw_path, _, query = raw.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote_to_bytes(raw_path).decode("utf-8", "replace"),
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": [(name, value) for name, value in headers],
        "client": ("192.0.2.7", 40_000),
        "server": ("127.0.0.1", 8787),
        "state": {},
    }


def encoded(name: str, safe: str = "") -> str:
    """Return a name as one segment of a path."""
    return quote(name, safe=safe)


def script_at(script: str) -> str:
    """Return the path of a script."""
    return f"{SCRIPTS}/{encoded(script)}"


def secrets_of(script: str) -> str:
    """Return the path of a script's secrets."""
    return f"{script_at(script)}/secrets"


def secret_at(script: str, name: str, safe: str = "") -> str:
    """Return the path of one secret."""
    return f"{secrets_of(script)}/{encoded(name, safe)}"
