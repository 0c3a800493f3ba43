"""Values and credentials go in by every way there is, and come out by none."""

import json
import secrets
from pathlib import Path

from tests.clients.canaries import CHUNK, Canaries, files, forms, found
from tests.clients.planting import SHOWING, STORES, kept_beside_scripts, plant_beside_scripts
from tests.clients.wire.talk import JSON, MERGE_PATCH, SCRIPTS, Headers, Wire, form
from tests.server import Server

AT = f"{SCRIPTS}/script"
MIB = 1024 * 1024


def plant_texts(wire: Wire, canaries: Canaries) -> None:
    """By PUT: stored, replaced, deleted, and refused in each way."""
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
    """In bodies that are no request: cut, doubled, too large, of another type, to another path, by nobody."""
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
    """As keys of each format: stored, and refused for what they hold."""
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
    """In patches: applied, refused for one item, refused for their number."""

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
    """In the metadata of uploads: stored, and refused in each way."""

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
    """As tokens, keys and e-mails that are wrong, beside those that are right."""
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


def test_no_value_and_no_credential_gets_out(own_server: Server) -> None:
    """Not in an answer, a log, a file, the command line or the environment; in no form that bytes are written in."""
    canaries, folder = Canaries(), own_server.safe.path.parent
    with Wire.to(own_server) as wire:
        wire.upload("script", {"type": "plain_text", "name": "VAR", "text": "shown"})
        plant_texts(wire, canaries)
        plant_bodies(wire, canaries)
        plant_keys(wire, canaries)
        plant_in_bulk(wire, canaries)
        plant_in_uploads(wire, canaries)
        plant_beside_scripts(wire, canaries)
        plant_credentials(own_server, wire, canaries)
        for path in (SCRIPTS, AT, f"{AT}/settings", f"{AT}/secrets", f"{AT}/secrets/kept", "/readyz", *SHOWING):
            assert wire.ask("GET", path).status == 200, path
        answers = {f"answer {n}": repr(one.headers).encode() + one.body for n, one in enumerate(wire.heard)}
        [store] = wire.ask("GET", STORES).result
    process = Path(f"/proc/{own_server.pid}")
    places = answers | files(folder) | {name: (process / name).read_bytes() for name in ("cmdline", "environ")}
    own_server.stop()
    places |= {f"{path} at the end": content for path, content in files(folder).items()}
    own_server.start()

    assert {"nightsafe.db", "nightsafe.db-wal", "nightsafe.db-shm", "stderr.log", "stdout.log"} <= {
        Path(place).name for place in places
    }
    assert len(canaries.planted) > 500
    for kept in kept_beside_scripts(own_server.safe, store["id"]):
        assert kept
        assert {value.encode() for value in kept.values()} <= set(canaries.planted)
    assert found(canaries.planted, places) == []


def test_the_search_is_not_blind(own_server: Server) -> None:
    """What is no secret is found in the same places, in each form."""
    with Wire.to(own_server) as wire:
        wire.upload("script", {"type": "plain_text", "name": "VAR", "text": "canary-in-the-open"})
        shown = wire.ask("GET", f"{AT}/settings").body
    places = {"answer": shown, **files(own_server.safe.path)}

    seen = {Path(place).name for place, _ in found([b"canary-in-the-open"], places)}

    assert {"answer", "nightsafe.db-wal"} <= seen
    for number, one in enumerate(forms(b"canary-in-the-open")):
        assert found([b"canary-in-the-open"], {"place": bytes(CHUNK - 3) + one + b"after"}), number
