"""Parsing of JSON into bindings, and refusals that point at the field."""

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
    """Return what a JSON Pointer points at (RFC 6901, section 4)."""
    for member in pointer.split("/")[1:]:
        document = document[member.replace("~1", "/").replace("~0", "~")]
    return document


@given(st.lists(st.text() | st.sampled_from(["~", "/", "~1", "~01", "", "a/b~c"])))
def test_a_pointer_leads_to_its_member(members: list[str]) -> None:
    """A pointer leads to its member, for any name."""
    document: Any = "here"
    for member in reversed(members):
        document = {member: document}

    assert resolve(document, pointer_to("", *members)) == "here"


def test_an_extended_pointer_is_not_escaped_again() -> None:
    """The existing part of a pointer is not escaped again."""
    assert pointer_to(pointer_to("/a~1b", "~"), 3) == "/a~1b/~0/3"


def test_types_are_named_as_in_json() -> None:
    """Each JSON type has its own name, without the value."""
    values = ["planted", True, 1, 0.5, [], {}, None, b""]
    words = ["a string", "a boolean", "a number", "a number", "an array", "an object", "null", "something else"]

    assert words == [type_name(value) for value in values]


@pytest.mark.parametrize("wrong", [None, True, 0, 0.5, [], {}])
def test_only_a_string_is_accepted_as_a_string(wrong: object) -> None:
    """A value that is not a string is refused with a pointer; null is accepted for an optional string."""
    with pytest.raises(NightsafeError) as refusal:
        need_string({"a/b": wrong}, "a/b", "/x")
    assert (Code.INVALID, "/x/a~1b") == (refusal.value.code, refusal.value.problems[0].pointer)
    if wrong is None:
        assert optional_string({"a": wrong}, "a", "") is None
    else:
        with pytest.raises(NightsafeError):
            optional_string({"a": wrong}, "a", "")


def test_missing_and_wrong_fields_have_different_messages() -> None:
    """A missing field and a field of the wrong type have different messages."""
    with pytest.raises(NightsafeError, match="missing"):
        need_string({}, "a", "")
    with pytest.raises(NightsafeError, match="missing"):
        need_array({}, "a", "")
    with pytest.raises(NightsafeError, match="not null"):
        need_array({"a": None}, "a", "")
    with pytest.raises(NightsafeError, match="a thing must be an object, not an array"):
        need_object([], "", "a thing")
    assert optional_string({}, "a", "") is None


def test_a_secret_text_is_kept_as_utf8() -> None:
    """The value is kept as UTF-8, untrimmed; only the name and the type are shown."""
    secret = parse_secret({"name": " é ", "type": "secret_text", "text": " ☃\n"})

    assert isinstance(secret, SecretText)
    assert isinstance(secret.value, SecretValue)
    assert (" é ", " ☃\n".encode(), b"") == (secret.name, secret.value.reveal(), secret.public_metadata())
    assert secret.public_json() == '{"name":" é ","type":"secret_text"}'.encode()


def test_a_secret_key_is_decoded() -> None:
    """Base64 is decoded and a JWK kept as JSON; the metadata that the seal binds is canonical."""
    raw = parse_secret(KEY)
    jwk = parse_secret({**KEY, "format": "jwk", "key_jwk": {"kty": "oct", "k": "AAECAwQ"}})

    assert isinstance(raw, SecretKey)
    assert isinstance(raw.value, SecretValue)
    assert isinstance(jwk.value, SecretValue)
    assert raw.value.reveal() == b"planted-value"
    assert jwk.value.reveal() == b'{"kty":"oct","k":"AAECAwQ"}'
    assert raw.public_metadata() == b'{"algorithm":{"hash":"SHA-256","name":"HMAC"},"format":"raw","usages":["sign"]}'
    assert b"planted" not in raw.public_json() + raw.public_metadata()


def test_usages_are_unique_and_ordered() -> None:
    """A repeated usage counts once."""
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
def test_an_invalid_secret_is_pointed_at(change: dict[str, Any], code: Code, pointer: str) -> None:
    """Each rule has its own code and pointer, for a secret in any place."""
    with pytest.raises(NightsafeError) as refusal:
        parse_secret({**KEY, **change}, "/secrets/0")

    assert [(code, f"/secrets/0{pointer}")] == [(problem.code, problem.pointer) for problem in refusal.value.problems]


def test_a_secret_may_take_its_members_name() -> None:
    """A secret without a name takes its member's name; another name is refused."""
    nameless = {"type": "secret_text", "text": "x"}

    assert parse_secret(nameless, name="A").name == "A"
    assert parse_secret({**nameless, "name": "A"}, name="A").name == "A"
    with pytest.raises(NightsafeError, match="must equal the name of the member"):
        parse_secret({**nameless, "name": "B"}, name="A")


@pytest.mark.parametrize("index", [0, 7])
def test_a_binding_without_a_name_is_named_by_position(index: int) -> None:
    """A refused binding without a name is identified by its position."""
    with pytest.raises(NightsafeError) as refusal:
        parse_binding({"type": "kv_namespace"}, f"/bindings/{index}", index)

    assert (Code.BINDING_UNNAMED, str(index)) == (refusal.value.code, refusal.value.problems[0].detail)


@pytest.mark.parametrize("kind", sorted(PLAIN_KINDS.keys() - {"plain_text", "json"}))
def test_a_plain_binding_keeps_the_members_of_its_kind(kind: str) -> None:
    """A plain binding is shown as it came, without unknown members, which might contain a secret."""
    fields = {"name": "B", "type": kind} | {member: [1, None] for member in PLAIN_KINDS[kind]}
    binding = parse_binding(fields | {"x": "misplaced", "text": "misplaced"}, "", 0)

    assert PlainBinding("B", kind, fields) == binding


def test_the_size_of_a_plain_binding_is_limited() -> None:
    """A plain binding that is too large is refused, because every read of the settings would return it."""
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
def test_an_invalid_binding_is_refused(fields: dict[str, Any], code: Code) -> None:
    """Invalid values of variables and unknown kinds are refused."""
    with pytest.raises(NightsafeError) as refusal:
        parse_binding({"name": "B", **fields}, "", 0)

    assert code == refusal.value.code


def test_a_binding_is_inherited_under_its_name_or_another() -> None:
    """Without `old_name` the binding is inherited under its own name."""
    inherit = {"name": "B", "type": "inherit"}

    assert InheritedBinding("B", "B") == parse_binding(inherit, "", 0)
    assert InheritedBinding("B", "A") == parse_binding({**inherit, "old_name": "A", "version_id": "latest"}, "", 0)


@pytest.mark.parametrize("fields", [TEXT, KEY])
def test_a_refusal_does_not_repeat_the_value(fields: dict[str, Any]) -> None:
    """No refusal contains the value, for any wrong field."""
    for member in fields:
        wrong_values: tuple[Any, ...] = (None, 1, [], {}, "x" * 6000)
        for wrong in wrong_values:
            try:
                parse_secret({**fields, member: wrong})
            except NightsafeError as error:
                told = repr((error, error.problems))
                assert "planted" not in told
                assert KEY["key_base64"] not in told
