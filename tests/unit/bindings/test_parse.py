"""From JSON to a binding, or to a refusal that points at the field."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightsafe.bindings.json_fields import (
    need_array,
    need_object,
    need_string,
    optional_string,
    pointer_to,
    type_name,
)
from nightsafe.bindings.kinds import PLAIN_KINDS
from nightsafe.bindings.model import InheritedBinding, PlainBinding, SecretKey, SecretText
from nightsafe.bindings.parse import parse_binding, parse_secret
from nightsafe.errors import Code, NightsafeError
from nightsafe.secret_value import SecretValue

HMAC = {"name": "HMAC", "hash": "SHA-256"}
KEY: dict[str, Any] = {
    "name": "K",
    "type": "secret_key",
    "format": "raw",
    "algorithm": HMAC,
    "usages": ["sign"],
    "key_base64": base64.b64encode(b"planted-value").decode(),
}
TEXT = {"name": "A", "type": "secret_text", "text": "planted-value"}


def resolve(document: Any, pointer: str) -> Any:
    """What a JSON Pointer points at (RFC 6901, section 4)."""
    for member in pointer.split("/")[1:]:
        document = document[member.replace("~1", "/").replace("~0", "~")]
    return document


@given(st.lists(st.text() | st.sampled_from(["~", "/", "~1", "~01", "", "a/b~c"])))
def test_a_pointer_finds_its_way_back(members: list[str]) -> None:
    """Whatever a member is called, the pointer leads to it."""
    document: Any = "here"
    for member in reversed(members):
        document = {member: document}

    assert resolve(document, pointer_to("", *members)) == "here"


def test_a_pointer_extends_another() -> None:
    """What is there already is not escaped again."""
    assert pointer_to(pointer_to("/a~1b", "~"), 3) == "/a~1b/~0/3"


def test_types_are_told_in_words_of_json() -> None:
    """Each JSON type has its word; nothing of the value is in it."""
    values = ["planted", True, 1, 0.5, [], {}, None, b""]
    words = ["a string", "a boolean", "a number", "a number", "an array", "an object", "null", "something else"]

    assert words == [type_name(value) for value in values]


@pytest.mark.parametrize("wrong", [None, True, 0, 0.5, [], {}])
def test_a_string_is_no_other_type(wrong: object) -> None:
    """Whatever is no string is refused with a pointer; null may stand for one that is optional."""
    with pytest.raises(NightsafeError) as refusal:
        need_string({"a/b": wrong}, "a/b", "/x")
    assert (Code.INVALID, "/x/a~1b") == (refusal.value.code, refusal.value.problems[0].pointer)
    if wrong is None:
        assert optional_string({"a": wrong}, "a", "") is None
    else:
        with pytest.raises(NightsafeError):
            optional_string({"a": wrong}, "a", "")


def test_what_is_missing_is_said_to_be() -> None:
    """A missing field and a field of the wrong type are told apart."""
    with pytest.raises(NightsafeError, match="missing"):
        need_string({}, "a", "")
    with pytest.raises(NightsafeError, match="missing"):
        need_array({}, "a", "")
    with pytest.raises(NightsafeError, match="not null"):
        need_array({"a": None}, "a", "")
    with pytest.raises(NightsafeError, match="a thing must be an object, not an array"):
        need_object([], "", "a thing")
    assert optional_string({}, "a", "") is None


def test_a_secret_text_is_its_utf8() -> None:
    """The value is kept as UTF-8, untrimmed; what is shown has the name and the type alone."""
    secret = parse_secret({"name": " é ", "type": "secret_text", "text": " ☃\n"})

    assert isinstance(secret, SecretText)
    assert isinstance(secret.value, SecretValue)
    assert (" é ", " ☃\n".encode(), b"") == (secret.name, secret.value.reveal(), secret.public())
    assert secret.shown() == '{"name":" é ","type":"secret_text"}'.encode()


def test_a_secret_key_is_its_bytes() -> None:
    """Base64 is decoded, a JWK kept as JSON; what the seal is bound to is canonical."""
    raw = parse_secret(KEY)
    jwk = parse_secret({**KEY, "format": "jwk", "key_jwk": {"kty": "oct", "k": "AAECAwQ"}})

    assert isinstance(raw, SecretKey)
    assert isinstance(raw.value, SecretValue)
    assert isinstance(jwk.value, SecretValue)
    assert raw.value.reveal() == b"planted-value"
    assert jwk.value.reveal() == b'{"kty":"oct","k":"AAECAwQ"}'
    assert raw.public() == b'{"algorithm":{"hash":"SHA-256","name":"HMAC"},"format":"raw","usages":["sign"]}'
    assert b"planted" not in raw.shown() + raw.public()


def test_usages_are_a_set_in_their_order() -> None:
    """A usage that is named twice counts once."""
    secret = parse_secret({**KEY, "usages": ["verify", "sign", "verify"]})

    assert isinstance(secret, SecretKey)
    assert ("verify", "sign") == secret.usages


@pytest.mark.parametrize(
    ("change", "code", "pointer"),
    [
        ({"name": ""}, Code.BINDING_UNNAMED, "/name"),
        ({"name": None}, Code.BINDING_UNNAMED, "/name"),
        ({"name": "x" * 2713}, Code.BINDING_NAME_TOO_LONG, "/name"),
        ({"type": "plain_text"}, Code.INVALID, "/type"),
        ({"type": ["secret_text"]}, Code.INVALID, "/type"),
        ({"format": "pem"}, Code.INVALID, "/format"),
        ({"format": "jwk"}, Code.INVALID, "/key_jwk"),
        ({"usages": ["fly"]}, Code.INVALID, "/usages"),
        ({"usages": ["sign"] * 17}, Code.INVALID, "/usages"),
        ({"usages": [[]]}, Code.INVALID, "/usages"),
        ({"algorithm": {"name": "HMAC", "hash": "SHA-256", "x": 2**53}}, Code.INVALID, "/algorithm"),
        ({"algorithm": {"name": "HMAC", "hash": "SHA-256", "x": "x" * 1024}}, Code.INVALID, "/algorithm"),
        ({"algorithm": {"name": "HMAC", "hash": "planted"}}, Code.INVALID, "/algorithm/hash"),
        ({"key_base64": "planted value!"}, Code.INVALID, "/key_base64"),
        ({"key_base64": base64.b64encode(bytes(5121)).decode()}, Code.BINDING_TOO_LARGE, "/key_base64"),
        ({"type": "secret_text", "text": "x" * 5121}, Code.BINDING_TOO_LARGE, "/text"),
    ],
)
def test_a_secret_that_cannot_be_is_pointed_at(change: dict[str, Any], code: Code, pointer: str) -> None:
    """Each rule has its code and its field, wherever the secret stands."""
    with pytest.raises(NightsafeError) as refusal:
        parse_secret({**KEY, **change}, "/secrets/0")

    assert [(code, f"/secrets/0{pointer}")] == [(one.code, one.pointer) for one in refusal.value.problems]


def test_a_name_may_come_from_its_place() -> None:
    """Without one of its own a secret bears the name of its member; another name is refused."""
    nameless = {"type": "secret_text", "text": "x"}

    assert parse_secret(nameless, name="A").name == "A"
    assert parse_secret({**nameless, "name": "A"}, name="A").name == "A"
    with pytest.raises(NightsafeError, match="must equal the name of the member"):
        parse_secret({**nameless, "name": "B"}, name="A")


@pytest.mark.parametrize("index", [0, 7])
def test_a_binding_without_a_name_is_counted(index: int) -> None:
    """Which of a list it is stands in the refusal."""
    with pytest.raises(NightsafeError) as refusal:
        parse_binding({"type": "kv_namespace"}, f"/bindings/{index}", index)

    assert (Code.BINDING_UNNAMED, str(index)) == (refusal.value.code, refusal.value.problems[0].detail)


@pytest.mark.parametrize("kind", sorted(PLAIN_KINDS.keys() - {"plain_text", "json"}))
def test_a_plain_binding_keeps_the_members_of_its_kind(kind: str) -> None:
    """Bindings that hold no secret are shown as they came, but for members nobody knows: a secret may be in them."""
    fields = {"name": "B", "type": kind} | {member: [1, None] for member in PLAIN_KINDS[kind]}
    binding = parse_binding(fields | {"x": "misplaced", "text": "misplaced"}, "", 0)

    assert PlainBinding("B", kind, fields) == binding


def test_a_plain_binding_is_bounded() -> None:
    """What is kept of a binding is shown again with every read of the settings."""
    with pytest.raises(NightsafeError) as refusal:
        parse_binding({"name": "B", "type": "kv_namespace", "namespace_id": "x" * 20_000}, "/bindings/0", 0)

    assert (Code.INVALID, "/bindings/0") == (refusal.value.code, refusal.value.problems[0].pointer)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"type": "plain_text"}, Code.INVALID),
        ({"type": "plain_text", "text": 1}, Code.INVALID),
        ({"type": "plain_text", "text": "x" * 5121}, Code.BINDING_TOO_LARGE),
        ({"type": "json"}, Code.INVALID),
        ({"type": "json", "json": "x" * 5119}, Code.BINDING_TOO_LARGE),
        ({"type": "inherit", "old_name": 1}, Code.INVALID),
        ({"type": "inherit", "version_id": "0"}, Code.INHERIT_VERSION),
        ({"type": "nothing"}, Code.INVALID),
        ({"type": None}, Code.INVALID),
        ({}, Code.INVALID),
    ],
)
def test_a_binding_that_cannot_be_is_refused(fields: dict[str, Any], code: Code) -> None:
    """Variables have a value of their own to check; kinds must be known."""
    with pytest.raises(NightsafeError) as refusal:
        parse_binding({"name": "B", **fields}, "", 0)

    assert code == refusal.value.code


def test_a_binding_is_inherited_under_its_name_or_another() -> None:
    """Without `old_name` it is the same one."""
    inherit = {"name": "B", "type": "inherit"}

    assert InheritedBinding("B", "B") == parse_binding(inherit, "", 0)
    assert InheritedBinding("B", "A") == parse_binding({**inherit, "old_name": "A", "version_id": "latest"}, "", 0)


@pytest.mark.parametrize("fields", [TEXT, KEY])
def test_a_refusal_does_not_repeat_the_value(fields: dict[str, Any]) -> None:
    """Whatever field is wrong, the error holds nothing of the value."""
    for member in fields:
        wrongs: tuple[Any, ...] = (None, 1, [], {}, "x" * 6000)
        for wrong in wrongs:
            try:
                parse_secret({**fields, member: wrong})
            except NightsafeError as error:
                told = repr((error, error.problems))
                assert "planted" not in told
                assert KEY["key_base64"] not in told
