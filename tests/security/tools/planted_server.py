"""A server that has received values and credentials in every possible way."""

import json
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct
from tests.clients.canaries import Canaries
from tests.clients.planted_values import STORES, plant_beside_scripts
from tests.clients.wire.talk import JSON, MERGE_PATCH, SCRIPTS, Answer, Headers, Wire, form
from tests.server import Safe, Server, make_safe

AT = f"{SCRIPTS}/script"
MIB = 1024 * 1024

_WATCHER = """
import os, sys
log = os.open(os.environ["WATCHED"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def watch(event, arguments):
    if event in ("open", "import"):
        os.write(log, f"{event} {arguments[0]}\\n".encode(errors="replace"))
sys.addaudithook(watch)
"""


class Planted(Struct, frozen=True):
    """A server that has received values, with a record of them.

    Attributes:
        server: the server, which is running at the start of each test.
        planted: every value and credential that it received, also in refused requests.
        answers: the answers to the requests with the values.
        store_id: the id of the account's Secrets Store.
        watched: a file that lists each file that the server process opened and each module that it imported, by line.
    """

    server: Server
    planted: list[bytes]
    answers: Sequence[Answer]
    store_id: str
    watched: Path

    @property
    def safe(self) -> Safe:
        """The safe that the server serves."""
        return self.server.safe

    @property
    def signing_key(self) -> Path:
        """The file with the API's signing key."""
        return self.safe.path / "keys" / "signing-key.json"

    @property
    def folder(self) -> Path:
        """The directory with everything that the server writes to disk: the safe and its logs."""
        return self.safe.path.parent

    def wire(self, token: str = "") -> Wire:
        """Return a client with a token, by default the owner's."""
        return Wire(self.server.port, [("Authorization", f"Bearer {token or self.safe.api_token}")])


@contextmanager
def planted_server(folder: Path, watching: Path) -> Iterator[Planted]:
    """Yield a server with values in every kind of place; a hook in `watching` records what its process opens."""
    (watching / "sitecustomize.py").write_text(_WATCHER)
    watched, canaries = watching / "watched.log", Canaries()
    environ = {"PYTHONPATH": str(watching), "WATCHED": str(watched)}
    with Server(make_safe(folder), environ=environ) as server:
        with Wire.to(server) as wire:
            wire.upload("script", {"type": "plain_text", "name": "VAR", "text": "shown"})
            plant_texts(wire, canaries)
            plant_bodies(wire, canaries)
            plant_keys(wire, canaries)
            plant_in_bulk(wire, canaries)
            plant_in_uploads(wire, canaries)
            plant_beside_scripts(wire, canaries)
            plant_credentials(server, wire, canaries)
            answers = tuple(wire.heard)
            [store] = wire.ask("GET", STORES).result
        yield Planted(server, canaries.planted, answers, store["id"], watched)
    log = server.stderr.read_text()
    assert "unforeseen" not in log, log
    assert "Traceback" not in log, log


def plant_texts(wire: Wire, canaries: Canaries) -> None:
    """Send values by PUT: to be stored, replaced, deleted, and refused for each reason."""
    new = canaries.text
    for name in ("kept", "replaced", "replaced", "deleted"):
        assert wire.put("script", name, new()).status == 200
    assert wire.ask("DELETE", f"{AT}/secrets/deleted").status == 200
    assert wire.put("script", "x", new() * 200).status == 400
    assert wire.put("script", "x", new(), more=new()).status == 200
    assert wire.put("absent", "x", new()).status == 404
    assert wire.put("script", "VAR", new()).status == 400
    assert wire.put("script", "", new()).status == 400
    for change in (
        {"text": [new()]},
        {"text": {new(): new()}},
        {"type": new()},
        {"name": [new()]},
        {"type": "secret_key", "format": new()},
        {"type": "secret_key", "format": "raw", "usages": [new()]},
        {"type": "secret_key", "format": "raw", "usages": [], "algorithm": {"name": "HMAC"}},
    ):
        secret = {"name": "x", "type": "secret_text", "text": new(), **change}
        assert wire.send("PUT", f"{AT}/secrets", secret).status == 400


def plant_bodies(wire: Wire, canaries: Canaries) -> None:
    """Send values in bad bodies: cut, doubled, too large, of another type, to another path, without credentials."""
    whole = json.dumps({"name": "x", "type": "secret_text", "text": canaries.text()}).encode()
    bad: list[tuple[str, str, bytes, Headers, Headers | None]] = [
        ("PUT", "/secrets", whole[:-2], [JSON], None),
        ("PUT", "/secrets", whole[:-1] + b"," + whole[1:], [JSON], None),
        ("PUT", "/secrets", whole.replace(b"canary", b"\\ud800canary"), [JSON], None),
        ("PUT", "/secrets", whole.replace(b"canary", b"\xffcanary"), [JSON], None),
        ("PUT", "/secrets", whole.ljust(5 * MIB), [JSON], None),
        ("PUT", "/secrets", whole, [("Content-Type", "text/plain")], None),
        ("PUT", "/secrets", whole, [JSON, ("Content-Encoding", "gzip")], None),
        ("PUT", "/secrets", whole, [JSON], ()),
        ("PUT", "/secrets", whole, [JSON], [("Authorization", f"Bearer {canaries.text()}")]),
        ("PUT", "/secrets/", whole, [JSON], None),
        ("POST", "/secrets", whole, [JSON], None),
        ("PATCH", "/secrets-bulk", whole[:-1], [MERGE_PATCH], None),
        ("PUT", "", whole, [JSON], None),
    ]
    for method, path, body, headers, credentials in bad:
        assert wire.ask(method, AT + path, body, headers, credentials).status >= 400
    wire.begin("PUT", f"{AT}/secrets", len(whole), [JSON, ("Authorization", f"Bearer {canaries.text()}")])
    wire.push(whole[:-1])
    wire.hang_up()


def plant_keys(wire: Wire, canaries: Canaries) -> None:
    """Send keys of each format: to be stored, and refused for their content."""
    for key_format in ("raw", "pkcs8", "spki", "jwk"):
        key = {"name": key_format, **canaries.key(key_format)}
        assert wire.send("PUT", f"{AT}/secrets", key).status == 200
        assert wire.send("PUT", f"{AT}/secrets", {**key, "usages": ["encrypt"]}).status == 400
        assert wire.send("PUT", f"{AT}/secrets", {**key, "algorithm": {"name": "AES-GCM"}}).status == 400
    raw = {"name": "x", **canaries.key("raw")}
    assert wire.send("PUT", f"{AT}/secrets", {**raw, "format": "pkcs8"}).status == 400
    assert wire.send("PUT", f"{AT}/secrets", {**raw, "key_base64": canaries.text() + "!"}).status == 400
    key = canaries.key("jwk")
    for member in ("d", "x", "y", "k", "p", "ext", "oth", "unknown"):
        jwk = {**key["key_jwk"], member: canaries.text()}  # type: ignore[dict-item]
        assert wire.send("PUT", f"{AT}/secrets", {**key, "name": "x", "key_jwk": jwk}).status in {200, 400}
        jwk = {"kty": "oct", member: canaries.text()}
        assert wire.send("PUT", f"{AT}/secrets", {**raw, "format": "jwk", "key_jwk": jwk}).status in {200, 400}


def plant_in_bulk(wire: Wire, canaries: Canaries) -> None:
    """Send values in patches: to be applied, refused for one item, and refused for the number of items."""

    def text() -> dict[str, object]:
        return {"type": "secret_text", "text": canaries.text()}

    for content_type in (JSON, MERGE_PATCH):
        assert wire.patch("script", {"a": text(), "b": text(), "c": canaries.key("raw")}, content_type).status == 200
        assert wire.patch("script", {"a": text(), "b": {**text(), "text": canaries.text() * 200}}).status == 400
        assert wire.patch("script", {"a": text(), "VAR": text()}, content_type).status == 400
        assert wire.patch("script", {"a": canaries.text()}, content_type).status == 400
        assert wire.patch("script", {f"S{number}": text() for number in range(101)}, content_type).status == 400
        assert wire.patch("absent", {"a": text()}, content_type).status == 404
    assert wire.patch("script", {"a": None, "b": None}).status == 200


def plant_in_uploads(wire: Wire, canaries: Canaries) -> None:
    """Send values in the metadata of uploads: to be stored, and refused for each reason."""

    def text(name: str) -> dict[str, object]:
        return {"type": "secret_text", "name": name, "text": canaries.text()}

    assert wire.upload("script", text("U"), {"name": "K", **canaries.key("jwk")}).status == 200
    assert wire.upload("script", text("U"), text("U")).status == 400
    assert wire.upload("script", text("U"), {**text("V"), "text": canaries.text() * 200}).status == 400
    assert wire.upload("UPPER", text("U")).status == 400
    assert wire.upload("script", text("U"), main_module="absent.js").status == 400
    metadata = json.dumps({"main_module": "worker.js", "bindings": [text("U"), {"type": "inherit", "name": "none"}]})
    content_type, body = form({"metadata": metadata.encode()})
    headers = [("Content-Type", content_type)]
    assert wire.ask("PUT", f"{AT}?bindings_inherit=strict", body, headers).status == 400
    assert wire.ask("PUT", AT, body[:-8], headers).status == 400
    assert wire.ask("PUT", AT, form({"metadata": metadata[:-1].encode()})[1], headers).status == 400
    assert wire.ask("PUT", AT, form({"more": metadata.encode()})[1], headers).status == 400
    assert wire.ask("PUT", AT, body, [*headers, ("Content-Encoding", "br")]).status == 400


def plant_credentials(server: Server, wire: Wire, canaries: Canaries) -> None:
    """Send wrong tokens, keys and e-mails, and correct ones."""
    safe = server.safe
    canaries.planted += [safe.api_token.encode(), safe.api_key.encode()]
    new = canaries.text
    pair = [("X-Auth-Email", safe.email), ("X-Auth-Key", safe.api_key)]
    assert wire.ask("GET", f"{AT}/secrets", credentials=pair).status == 200
    for credentials in (
        [("Authorization", new())],
        [("Authorization", f"Bearer {new()}")],
        [("Authorization", f"Basic {new()}")],
        [("Authorization", f"Bearer {safe.api_token}"), ("Authorization", f"Bearer {new()}")],
        [("X-Auth-Email", safe.email), ("X-Auth-Key", secrets.token_hex(18))],
        [("X-Auth-Email", safe.email), ("X-Auth-Key", new())],
        [("X-Auth-Email", f"{secrets.token_hex(9)}@x"), ("X-Auth-Key", safe.api_key)],
        [("X-Auth-Email", new()), ("X-Auth-Key", safe.api_key)],
        [("Authorization", f"Bearer {safe.api_token}x")],
        [("X-Auth-Key", new())],
    ):
        assert wire.ask("GET", f"{AT}/secrets/kept", credentials=credentials).status in {400, 403}
