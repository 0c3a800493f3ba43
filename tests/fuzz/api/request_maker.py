"""One request from a seed and a number: always the same request, except for the ids that the safe gave out."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final
from urllib.parse import quote

from msgspec import Struct
from tests.fuzz.api.mutations import altered, bomb, shaken

RECORDED: Final[dict[str, list[Any]]] = json.loads((Path(__file__).parent / "recorded.json").read_text())
"""Valid bodies by method and path: from the traffic of official clients, or our own where these send none."""

_BASE: Final = "/client/v4"
_METHODS: Final = ("GET", "PUT", "PATCH", "POST", "DELETE", "HEAD", "OPTIONS", "TRACE", "get", "X", "QUERY")
_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "script_name": ("fuzz-0", "fuzz-1", "fuzz-2", "fuzz-3", "sentinel-0", "sentinel-1", "absent", "Bad Name"),
    "secret_name": ("A", "B", "SENTINEL", "N1", "absent", "a/b", "é", ""),
    "namespace": ("fuzz-ns", "sentinel-ns", "absent"),
    "environment": ("production", "staging", ""),
    "project_name": ("fuzz-project", "sentinel-project", "absent"),
    "version_id": ("@version", "latest", "0" * 32),
    "deployment_id": ("@deployment", "@version"),
    "deployment": ("latest", "@deployment"),
    "preview": ("pr-1", "pr-2", "@preview"),
    "store_id": ("@store", "@sentinel_store", "0" * 32),
    "secret_id": ("@secret", "@sentinel_secret", "0" * 32),
    "token_id": ("@token", "0" * 32),
    "process": ("one", "two", "a" * 65),
    "check": ("0" * 32, "x"),
    "digest": ("0" * 64, "x"),
    "tag": ("a", "b", "c,d"),
    "script_tag": ("0" * 32, "@tag"),
}
_SEGMENTS: Final = ("", ".", "..", "%2F", "%2e%2e", "%", "%zz", "%ff", "%00", "+", ";", "sentinel-0", "*", "a" * 3000)
_QUERIES: Final = (
    "page=1&per_page=5", "page=2.0", "page=0", "per_page=99999999999", "bindings_inherit=strict", "url_encoded=true",
    "cursor=@version", "after=1-0&wait=0", "after=", "force=true", "deployable=true", "name=fuzz-0", "tags=a:yes",
    "search=%25", "direction=desc&order=name", "%ff=%00&&=;", "&".join(f"a{number}=1" for number in range(120)),
    "x=" + "y" * 6000, "bindings_inherit=no", "include=modules",
)  # fmt: skip
_TYPES: Final = (
    "application/json", "application/merge-patch+json", "application/json; charset=utf-16",
    "text/plain;charset=UTF-8",
    "multipart/form-data", "multipart/form-data; boundary=b", 'multipart/form-data; boundary="', "text/javascript",
    "application/x-www-form-urlencoded", "", "a" * 2000,
)  # fmt: skip
_HEADERS: Final = (
    ("content-encoding", "gzip"), ("content-encoding", "identity"), ("content-encoding", "br, gzip"),
    ("range", "bytes=0-0"), ("range", "bytes=-1,5-2"), ("accept-encoding", "*;q=0"), ("accept", "text/html"),
    ("if-none-match", "*"), ("if-match", '"x"'), ("expect", "nonsense"), ("x-forwarded-for", "127.0.0.1, ::1"),
    ("forwarded", "for=unknown"), ("x-http-method-override", "DELETE"), ("cookie", "a=b"),
    ("api-version", "2099-01-01"),
    ("user-agent", "wrangler/4.164.0"), ("user-agent", "\xff"), ("x-a", "b" * 5000), ("origin", "null"),
    ("cf-connecting-ip", "x"), ("upgrade", "h2c"), ("connection", "keep-alive, x-auth-key"),
    ("sec-fetch-mode", "cors"),
)  # fmt: skip
_CODE: Final = (
    b'Content-Disposition: form-data; name="worker.js"; filename="worker.js"\r\n'
    b"Content-Type: application/javascript+module\r\n\r\nexport default {}"
)
_PLACE: Final = re.compile(r"\{(\w+)\}")
_ID: Final = re.compile(r"@([a-z_]+)")
_GIVEN_TO_DELIVERY: Final = re.compile(r"/nightsafe/(changes|checks|bundles|modules|processes)")
_WAITS: Final = re.compile(r"/nightsafe/(changes|checks)")


class RequestParts(Struct, frozen=True):
    """The parts that requests are made of.

    Attributes:
        port: the server's port.
        routes: the methods and paths of the API.
        accounts: the account that is written to, and the account that a delivery process follows.
        credentials: headers by their purpose.
        ids: the ids that the safe gave out, by kind.
    """

    port: int
    routes: Sequence[tuple[str, str]]
    accounts: tuple[str, str]
    credentials: Mapping[str, tuple[tuple[str, str], ...]]
    ids: Mapping[str, str]


class FuzzRequest(Struct, frozen=True):
    """A request as it goes over the wire.

    Attributes:
        number: the number from which it can be made again.
        method: the method, in upper or lower case.
        target: path and query.
        data: all bytes of the request.
        sound: whether it is HTTP/1.1, so that there must be an answer.
        patience: the seconds that its answer may take.
    """

    number: int
    method: str
    target: str
    data: bytes
    sound: bool = True
    patience: float = 2.0


def request(known: RequestParts, seed: int, number: int) -> FuzzRequest:
    """Return the request of this number."""
    draw = Random(f"{seed} {number}")
    method, path = draw.choice(known.routes)
    delivered = bool(_GIVEN_TO_DELIVERY.search(path))
    account = known.accounts[1] if delivered else known.accounts[0]
    credential = _credential(draw, path, method)
    shapes = RECORDED.get(f"{method} {path.removeprefix(_BASE).replace('/accounts/{account_id}', '')}", ())
    if draw.random() < 0.06:
        method = draw.choice(_METHODS)
    if credential == "owner" and method not in {"GET", "HEAD"}:
        credential = "write"
    target = _target(draw, path, account, known)
    headers = [("Host", f"127.0.0.1:{known.port}"), *known.credentials[credential]]
    content_type, body = _body(draw, method, shapes, known)
    if content_type:
        headers.append(("Content-Type", content_type if draw.random() > 0.04 else draw.choice(_TYPES)))
    if draw.random() < 0.12:
        headers.append(draw.choice(_HEADERS))
    patience = 30.0 if _WAITS.search(target) else 6.0 if account == known.accounts[1] else 2.0
    return _framed(draw, FuzzRequest(number, method, target, b"", patience=patience), headers, body)


def _credential(draw: Random, path: str, method: str) -> str:
    """Return the kind of credential that a request comes with: mostly the one that it needs."""
    if draw.random() < 0.2:
        return draw.choice(("none", "bad", "malformed", "read", "write", "tokens", "delivery", "resealing", "owner"))
    if "/tokens" in path:
        return "tokens"
    if "/nightsafe/" in path:
        return draw.choice(("resealing", "write")) if "reseal" in path or "keys" in path else "delivery"
    return draw.choice(("read", "owner", "write")) if method == "GET" else "write"


def _target(draw: Random, path: str, account: str, known: RequestParts) -> str:
    """Return a path with names in it, sometimes distorted, and a query."""

    def name(place: Any) -> str:
        """Return the name for one place of the path."""
        if place[1] == "account_id":
            return account if draw.random() < 0.97 else draw.choice((*known.accounts, "f" * 32, "x"))
        if draw.random() < 0.04:
            return draw.choice(_SEGMENTS)
        return quote(_ids(draw.choice(_NAMES.get(place[1], ("x",))), known), safe="")

    target = _PLACE.sub(name, path)
    if draw.random() < 0.03:
        parts = target.split("/")
        parts.insert(draw.randint(1, len(parts)), draw.choice(_SEGMENTS))
        target = "/".join(parts)
    query = ""
    if draw.random() < 0.25:
        query = "&".join(draw.choice(_QUERIES) for _ in range(draw.choice((1, 1, 2))))
    if _WAITS.search(target):
        query = draw.choice(("wait=0", "wait=1", "after=1-&wait=0", "wait=x", "after=x&wait=0", "wait=0&process=one"))
    return _ids(target, known) + (f"?{_ids(query, known)}" if query else "")


def _ids(text: str, known: RequestParts) -> str:
    """Replace the references in a text by ids."""
    return _ID.sub(lambda found: known.ids.get(found[1], found[0]), text)


def _body(draw: Random, method: str, shapes: Sequence[Any], known: RequestParts) -> tuple[str, bytes]:
    """Return a Content-Type and a body: valid, nearly so, or a bomb; or neither."""
    if not shapes and (method in {"GET", "HEAD", "DELETE"} or draw.random() < 0.5):
        return ("", b"") if draw.random() < 0.97 else ("application/json", b"{}")
    if draw.random() < 0.004:
        return "application/json", bomb(draw)
    shape = draw.choice(shapes) if shapes else {"name": "x"}
    form = isinstance(shape, dict) and "form" in shape
    value = altered(draw, shape["json"] if form else shape)
    encoded = _ids(json.dumps(value, ensure_ascii=draw.random() < 0.5), known).encode("utf-8", "surrogatepass")
    if form:
        body = _form(draw, shape["form"], encoded)
        return "multipart/form-data; boundary=b", shaken(draw, body) if draw.random() < 0.2 else body
    kind = "application/merge-patch+json" if method == "PATCH" and draw.random() < 0.3 else "application/json"
    return kind, shaken(draw, encoded) if draw.random() < 0.1 else encoded


def _form(draw: Random, name: str, encoded: bytes) -> bytes:
    """Return a form with this part and, mostly, code."""
    part = b'Content-Disposition: form-data; name="%b"\r\nContent-Type: application/json\r\n\r\n' % name.encode()
    parts = [part + encoded]
    parts += [_CODE] * draw.choice((0, 1, 1, 1, 1, 2))
    if draw.random() < 0.01:
        parts += [_CODE.replace(b"worker.js", b"m%d.js" % number) for number in range(1_005)]
    return b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"


def _framed(draw: Random, sent: FuzzRequest, headers: list[tuple[str, str]], body: bytes) -> FuzzRequest:
    """Return the request with its bytes; a few requests break the framing of HTTP/1.1 or are cut short."""
    odd = draw.random()
    if body and 0.02 < odd < 0.08:
        headers.append(("Transfer-Encoding", "chunked"))
        body = _chunked(draw, body)
    elif body or sent.method not in {"GET", "HEAD"}:
        headers.append(("Content-Length", str(len(body))))
    lines = [f"{sent.method} {sent.target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    data = "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body
    if odd >= 0.02:
        return FuzzRequest(sent.number, sent.method, sent.target, data, patience=sent.patience)
    return FuzzRequest(
        sent.number, sent.method, sent.target, _broken(draw, data), sound=False, patience=sent.patience
    )


def _chunked(draw: Random, body: bytes) -> bytes:
    """Return a body in chunks of any size."""
    size = draw.choice((1 + len(body) // 3, 7 + len(body) // 50, len(body)))
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    ending = draw.choice((b"", b"", b"X-Trailer: y\r\n"))
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n" + ending + b"\r\n"


def _broken(draw: Random, data: bytes) -> bytes:  # noqa: PLR0911 - one return for each way to break it
    """Return a malformed request."""
    match draw.randrange(8):
        case 0:
            return data[: draw.randint(1, len(data))]
        case 1:
            return data.replace(b"HTTP/1.1", draw.choice((b"HTTP/9.9", b"HTTP/1.0", b"", b"HTTP/2.0")), 1)
        case 2:
            return data.replace(b"Content-Length: ", draw.choice((b"Content-Length: -", b"Content-Length: 9")), 1)
        case 3:
            return data.replace(b"\r\n", b"\r\nTransfer-Encoding: chunked, x\r\n", 1)
        case 4:
            return data.replace(b"Host:", draw.choice((b"Host: a\r\nHost:", b"X-Host:", b" Host:", b"Host :")), 1)
        case 5:
            return data.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 1)
        case 6:
            return data.replace(b"\r\n", b"\n")
        case _:
            return shaken(draw, data)
