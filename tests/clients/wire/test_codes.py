"""The error codes that clients act on: each is sent in its own case and in no other."""

import base64
import json
import re

import pytest
from tests.clients.wire.talk import JSON, MERGE_PATCH, SCRIPTS, Answer, Wire, form, text

HMAC = {"type": "secret_key", "algorithm": {"name": "HMAC", "hash": "SHA-256"}, "format": "raw", "usages": ["sign"]}
RAW_KEY = base64.b64encode(bytes(range(32))).decode()
LIMIT = 5120


def put_key(wire: Wire, script: str, name: str, key_base64: str) -> Answer:
    """Put an HMAC key."""
    return wire.send("PUT", f"{SCRIPTS}/{script}/secrets", {"name": name, **HMAC, "key_base64": key_base64})


def every_use(wire: Wire, script: str) -> list[Answer]:
    """Send every kind of request that needs the script to exist; return the answers."""
    at = f"{SCRIPTS}/{script}"
    return [
        wire.ask("GET", at),
        wire.ask("DELETE", at),
        wire.ask("GET", f"{at}/settings"),
        wire.ask("GET", f"{at}/secrets"),
        wire.put(script, "mine"),
        wire.ask("GET", f"{at}/secrets/mine"),
        wire.ask("DELETE", f"{at}/secrets/mine"),
        wire.patch(script, {"mine": {"type": "secret_text", "text": "x"}}),
        wire.patch(script, {"mine": None}),
        wire.patch(script, {}),
    ]


@pytest.mark.parametrize(
    "name", ["{absent}", "UPPER", "with%20space", "a%2Fb", "x" * 300, "%00", "..", "-", "%C3%BC"]
)
def test_10007_when_the_script_is_absent(wire: Wire, absent_script: str, name: str) -> None:
    """Every request gives 404 with 10007 and its message, and none creates the script."""
    script = name.format(absent=absent_script)
    for answer in every_use(wire, script):
        assert answer.refusal == (404, [10007])
        assert answer.messages == ["This Worker does not exist on your account."]
    listed = [found["id"] for found in wire.ask("GET", SCRIPTS).result]
    assert script not in listed


def test_10007_again_after_the_script_is_deleted(wire: Wire, script: str) -> None:
    """A deleted script is absent, and a new script of the same name starts without its secrets."""
    wire.put(script, "mine")
    tag = wire.ask("DELETE", f"{SCRIPTS}/{script}").result["id"]

    assert {answer.refusal[0] for answer in every_use(wire, script)} == {404}
    assert re.fullmatch("[0-9a-f]{32}", tag)
    assert wire.upload(script).result["tag"] != tag
    assert wire.names(script) == []


def test_an_invalid_body_is_refused_before_an_absent_script(wire: Wire, absent_script: str) -> None:
    """An invalid request is refused before the script is looked up, so no client creates a script for it."""
    assert wire.put(absent_script, "").refusal == (400, [10052])
    assert wire.patch(absent_script, {"a": {"type": "none"}}).refusal == (400, [10021])


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_10056_when_only_the_secret_is_absent(wire: Wire, script: str, method: str) -> None:
    """The answer is 404 with 10056 and the name; if another kind of binding has the name, the message says so."""
    wire.upload(script, {"type": "plain_text", "name": "VAR", "text": "x"})
    for name in ("mine", "VAR", "var"):
        answer = wire.ask(method, f"{SCRIPTS}/{script}/secrets/{name}")
        assert answer.refusal == (404, [10056])
        words = f"Binding '{name}' not found. Please use a different name and try again."
        kind = " It is the name of a plain_text binding." if name == "VAR" else ""
        assert answer.messages == [words + kind]


def test_10056_on_the_second_delete(wire: Wire, script: str) -> None:
    """A second DELETE finds nothing and creates no version."""
    wire.put(script, "mine")
    deleted = wire.ask("DELETE", f"{SCRIPTS}/{script}/secrets/mine", headers=[JSON])

    assert deleted.body == b'{"result":null,"success":true,"errors":[],"messages":[]}\n'
    assert wire.ask("DELETE", f"{SCRIPTS}/{script}/secrets/mine").refusal == (404, [10056])


@pytest.mark.parametrize(
    "holder",
    [
        {"type": "plain_text", "text": "x"},
        {"type": "json", "json": {"a": [1]}},
        {"type": "kv_namespace", "namespace_id": "0" * 32},
        {"type": "version_metadata"},
    ],
)
def test_10053_when_another_kind_of_binding_has_the_name(wire: Wire, script: str, holder: dict[str, object]) -> None:
    """Put and patch give 400 with 10053 and the name, and the binding is unchanged."""
    held = {"name": "HELD", **holder}
    wire.upload(script, held)
    for answer in (
        wire.put(script, "HELD"),
        wire.patch(
            script, {"other": {"type": "secret_text", "text": "x"}, "HELD": {"type": "secret_text", "text": "x"}}
        ),
    ):
        assert answer.refusal == (400, [10053])
        words = "Binding name 'HELD' already in use. Please use a different name and try again."
        assert answer.messages == [f"{words} It is the name of a {holder['type']} binding."]
    assert wire.ask("GET", f"{SCRIPTS}/{script}/settings").result["bindings"] == [held]


def test_text_and_key_secrets_replace_each_other(wire: Wire, script: str) -> None:
    """A secret_text and a secret_key of the same name replace each other."""
    wire.put(script, "mine")
    shown = put_key(wire, script, "mine", RAW_KEY).result

    assert shown == {"name": "mine", **HMAC}
    assert wire.ask("GET", f"{SCRIPTS}/{script}/secrets").result == [shown]
    assert wire.put(script, "mine").result == {"name": "mine", "type": "secret_text"}


@pytest.mark.parametrize("character", ["x", "é", "☃", "😀", "\0"])
def test_10054_past_5120_bytes(wire: Wire, script: str, character: str) -> None:
    """5,120 bytes of UTF-8 are accepted; one more gives 400 with 10054. The limit counts bytes, not characters."""
    size = len(character.encode())
    largest = character * (LIMIT // size) + "x" * (LIMIT % size)

    assert wire.put(script, "mine", largest).status == 200
    too_large = wire.put(script, "mine", largest + "x")
    assert too_large.refusal == (400, [10054])
    assert too_large.pointers == ["/text"]
    assert too_large.messages[0].startswith("Text binding 'mine' is too large.")


def test_10054_for_keys_variables_and_patches(wire: Wire, script: str) -> None:
    """The limit applies to decoded keys, variables of an upload and items of a patch."""
    largest, larger = (base64.b64encode(bytes(size)).decode() for size in (LIMIT, LIMIT + 1))
    assert put_key(wire, script, "k", largest).status == 200
    assert put_key(wire, script, "k", larger).refusal == (400, [10054])
    assert wire.upload(script, {"type": "plain_text", "name": "V", "text": "x" * LIMIT}).status == 200
    refused = wire.upload(
        script,
        {"type": "plain_text", "name": "V", "text": "x" * (LIMIT + 1)},
        {"type": "secret_text", "name": "S", "text": "x" * (LIMIT + 1)},
        {"type": "json", "name": "J", "json": ["x" * LIMIT]},
    )
    assert refused.refusal == (400, [10054, 10054, 10054])
    assert refused.pointers == ["/bindings/0/text", "/bindings/1/text", "/bindings/2/json"]


def test_10055_past_128_variables(wire: Wire, script: str) -> None:
    """128 secrets and variables are accepted; one more gives 400 with 10055. Replacing and deleting still work."""
    variables = [{"type": "plain_text", "name": f"V{number}", "text": "x"} for number in range(28)]
    wire.upload(script, *variables, {"type": "kv_namespace", "name": "KV", "namespace_id": "0" * 32})
    hundred = {f"S{number:02}": {"type": "secret_text", "text": "x"} for number in range(100)}

    assert len(wire.patch(script, hundred).result) == 100
    refused = wire.put(script, "one-too-many")
    assert refused.refusal == (400, [10055])
    assert "129" in refused.messages[0]
    assert "128" in refused.messages[0]
    assert wire.patch(script, {"S00": None, "a": text("x"), "b": text("x")}).refusal == (400, [10055])
    assert wire.put(script, "S00").status == 200
    assert wire.patch(script, {"S00": None, "a": text("x")}).status == 200
    assert wire.names(script)[-1] == "a"
    assert wire.upload(script, *variables, {"type": "json", "name": "J", "json": 1}).refusal == (400, [10055])


@pytest.mark.parametrize(
    "script", ["UPPER", "-dash", "with%20space", "a%2Fb", "a.b", "%C3%BC", "x" * 256, "%00", "..", "a%0A"]
)
def test_10016_for_invalid_script_names(wire: Wire, script: str) -> None:
    """An upload with such a name gives 400 with 10016 and creates nothing."""
    assert wire.upload(script).refusal == (400, [10016])
    assert wire.ask("GET", f"{SCRIPTS}/{script}/secrets").refusal == (404, [10007])


@pytest.mark.parametrize("script", ["a", "0", "_", "a-_0", "x" * 255])
def test_valid_script_names_are_accepted(wire: Wire, script: str) -> None:
    """A name has 1 to 255 lower-case letters, digits, dashes and underscores, and does not start with a dash."""
    assert wire.upload(script).result["id"] == script
    assert wire.ask("DELETE", f"{SCRIPTS}/{script}").status == 200


@pytest.mark.parametrize("name", ["x" * 2713, "é" * 1357, "☃" * 904 + "x"])
def test_10100_past_2712_bytes(wire: Wire, script: str, name: str) -> None:
    """A longer name gives 400 with 10100 in a put, a patch and an upload."""
    assert wire.put(script, name).refusal == (400, [10100])
    assert wire.patch(script, {name: text("x")}).refusal == (400, [10100])
    assert wire.upload(script, {"type": "plain_text", "name": name, "text": "x"}).refusal == (400, [10100])
    assert wire.names(script) == []


@pytest.mark.parametrize("name", ["", None])
def test_10052_without_a_name(wire: Wire, script: str, name: str | None) -> None:
    """An empty or missing name gives 400 with 10052 and the binding's index."""
    put = wire.send("PUT", f"{SCRIPTS}/{script}/secrets", {"name": name, **text("x")})
    uploaded = wire.upload(script, {**text("x"), "name": "a"}, {**text("x"), "name": name})

    assert (put.refusal, put.messages) == ((400, [10052]), ["Binding at index 0 must have a name"])
    assert (uploaded.refusal, uploaded.messages) == ((400, [10052]), ["Binding at index 1 must have a name"])
    assert wire.patch(script, {"": text("x")}).refusal == (400, [10052])


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": "a", "type": "secret_text"}, "/text"),
        ({"name": "a", "type": "secret_text", "text": None}, "/text"),
        ({"name": "a", "type": "secret_text", "text": 1}, "/text"),
        ({"name": "a", "type": "secret_text", "text": ["x"]}, "/text"),
        ({"name": 1, "type": "secret_text", "text": "x"}, "/name"),
        ({"name": "a", "text": "x"}, "/type"),
        ({"name": "a", "type": "plain_text", "text": "x"}, "/type"),
        ({"name": "a", "type": ["secret_text"], "text": "x"}, "/type"),
        ({"name": "a", **HMAC}, "/key_base64"),
        ({"name": "a", **HMAC, "key_base64": "no base64!"}, "/key_base64"),
        ({"name": "a", **HMAC, "key_jwk": {"kty": "oct", "k": "AAAA"}}, "/key_base64"),
        ({"name": "a", **HMAC, "format": "jwk", "key_base64": RAW_KEY}, "/key_jwk"),
        ({"name": "a", **HMAC, "format": "pem", "key_base64": RAW_KEY}, "/format"),
        ({"name": "a", **HMAC, "usages": "sign", "key_base64": RAW_KEY}, "/usages"),
        ({"name": "a", **HMAC, "usages": ["seal"], "key_base64": RAW_KEY}, "/usages"),
        ({"name": "a", **HMAC, "algorithm": {"name": "x" * 2000}, "key_base64": RAW_KEY}, "/algorithm"),
    ],
)
def test_10021_points_at_the_field(wire: Wire, script: str, body: object, pointer: str) -> None:
    """A missing or invalid field gives 400 with 10021 and a pointer to it."""
    answer = wire.send("PUT", f"{SCRIPTS}/{script}/secrets", body)

    assert answer.refusal == (400, [10021])
    assert answer.pointers == [pointer]
    assert wire.names(script) == []


@pytest.mark.parametrize(
    ("content_type", "body", "code"),
    [
        ("application/json", b"{}", 10001),
        ("", b"x", 10001),
        ("multipart/form-data", b"x", 10006),
        ("multipart/form-data; boundary=x", b"", 10006),
        ("multipart/form-data; boundary=x", b"--y\r\n\r\n--y--", 10006),
        (form({})[0], form({})[1], 10021),
        (form({})[0], form({"metadata": b"{}"})[1][:-9], 10006),
        (form({})[0], form({"metadata": b"{"})[1], 10026),
        (form({})[0], form({"metadata": b"[]"})[1], 10021),
        (form({})[0], form({"metadata": b"{}"})[1], 10021),
        (form({})[0], form({"metadata": b'{"main_module":"absent.js"}'})[1], 10021),
        (form({})[0], form({"metadata": b'{"main_module":"worker.js","bindings":{}}'})[1], 10021),
        (form({})[0], form({"metadata": b'{"main_module":"worker.js","keep_bindings":["none"]}'})[1], 10021),
    ],
)
def test_invalid_uploads_are_refused_by_code(
    wire: Wire, absent_script: str, content_type: str, body: bytes, code: int
) -> None:
    """Each gives 400 with the code of its fault and creates no script."""
    headers = [("Content-Type", content_type)] if content_type else []

    assert wire.ask("PUT", f"{SCRIPTS}/{absent_script}", body, headers).refusal == (400, [code])
    assert wire.ask("GET", f"{SCRIPTS}/{absent_script}/secrets").refusal == (404, [10007])


def test_10057_for_each_binding_that_cannot_be_inherited(wire: Wire, script: str) -> None:
    """With `bindings_inherit=strict` each such binding is an error; otherwise it is dropped."""
    wire.put(script, "mine")
    inherited = [{"type": "inherit", "name": name} for name in ("mine", "one", "two")]
    metadata = {"main_module": "worker.js", "bindings": inherited}
    content_type, body = form({"metadata": json.dumps(metadata).encode()})
    at = f"{SCRIPTS}/{script}"

    refused = wire.ask("PUT", f"{at}?bindings_inherit=strict", body, [("Content-Type", content_type)])

    assert refused.refusal == (400, [10057, 10057])
    assert refused.messages == [
        f"inherit binding '{name}' is invalid: previous version does not have binding named '{name}'"
        for name in ("one", "two")
    ]
    assert wire.ask("PUT", at, body, [("Content-Type", content_type)]).status == 200
    assert wire.names(script) == ["mine"]


def test_a_patch_of_more_than_100_operations_is_refused(wire: Wire, script: str) -> None:
    """A patch of 100 operations is accepted; one of 101 is refused completely, in both content types."""
    most: dict[str, object] = {f"S{number}": text("x") for number in range(60)}
    most |= {f"D{number}": None for number in range(40)}
    for content_type in (JSON, MERGE_PATCH):
        refused = wire.patch(script, {**most, "more": None}, content_type)
        assert (400, ["/secrets"]) == (refused.status, refused.pointers)
        assert wire.names(script) == []
    assert len(wire.patch(script, most, MERGE_PATCH).result) == 60
