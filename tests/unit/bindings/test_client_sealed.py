"""Parsing of bindings whose value the client sealed."""

import base64
from typing import Any

import pytest

from nightsafe.bindings.client_sealed import MAX_ENCRYPTED_CHARACTERS, SealedByClient
from nightsafe.bindings.model import SecretKey, SecretText
from nightsafe.bindings.parse import parse_binding, parse_secret
from nightsafe.errors import Code, NightsafeError

SEALED = {"encrypted_value": base64.b64encode(b"sealed").decode(), "key_id": "0123456789abcdef"}
TEXT = {"name": "S", "type": "secret_text", **SEALED}
KEY = {
    "name": "K",
    "type": "secret_key",
    "format": "raw",
    "algorithm": {"name": "HMAC"},
    "usages": ["sign", "sign"],
    **SEALED,
}
VALUE = SealedByClient(b"sealed", "0123456789abcdef", "")


def test_a_sealed_text_is_parsed() -> None:
    """A sealed text has its bytes and key id instead of the plaintext; `shown` is the same."""
    secret = parse_secret(dict(TEXT))

    assert SecretText("S", VALUE) == secret
    assert b'{"name":"S","type":"secret_text"}' == secret.public_json()


@pytest.mark.parametrize("key_format", ["raw", "pkcs8", "spki", "jwk"])
def test_a_sealed_key_is_parsed(key_format: str) -> None:
    """The metadata of a sealed key is parsed as usual; the key itself cannot be checked."""
    secret = parse_secret({**KEY, "format": key_format})

    assert SecretKey("K", {"name": "HMAC"}, key_format, ("sign",), VALUE) == secret


def test_a_sealed_value_in_an_upload_keeps_its_position() -> None:
    """A sealed value in an upload keeps its position for a later refusal."""
    binding = parse_binding(dict(TEXT), "/bindings/3", 3)

    assert isinstance(binding, SecretText)
    assert isinstance(binding.value, SealedByClient)
    assert "/bindings/3/key_id" == binding.value.refuse("key_id", "why").problems[0].pointer
    assert (Code.INVALID, "why") == (binding.value.refuse("key_id", "why").code, "why")


@pytest.mark.parametrize(
    ("base", "changed", "pointer", "words"),
    [
        (TEXT, {"text": "plaintext"}, "/text", "give only one of them"),
        (KEY, {"key_base64": "plaintext"}, "/key_base64", "give only one of them"),
        (KEY, {"key_jwk": {"k": "plaintext"}}, "/key_jwk", "give only one of them"),
        (TEXT, {"key_id": None}, "/key_id", "must be a string, not null"),
        (TEXT, {"key_id": "0123456789ABCDEF"}, "/key_id", "16 lower-case hex digits"),
        (TEXT, {"key_id": "0123456789abcdef0"}, "/key_id", "16 lower-case hex digits"),
        (TEXT, {"encrypted_value": 1}, "/encrypted_value", "must be a string, not a number"),
        (TEXT, {"encrypted_value": "plaintext!"}, "/encrypted_value", "is not base64"),
        (TEXT, {"encrypted_value": "AAA"}, "/encrypted_value", "is not base64"),
        (TEXT, {"encrypted_value": "AA AA"}, "/encrypted_value", "is not base64"),
        (TEXT, {"encrypted_value": "\u00e9"}, "/encrypted_value", "is not base64"),
        (TEXT, {"encrypted_value": "A" * (MAX_ENCRYPTED_CHARACTERS + 4)}, "/encrypted_value", "is over"),
        (KEY, {"usages": ["none"]}, "/usages", "may hold only"),
        (KEY, {"format": "none"}, "/format", "must be one of"),
    ],
)
def test_a_refusal_points_at_the_wrong_member(
    base: dict[str, Any], changed: dict[str, Any], pointer: str, words: str
) -> None:
    """Each refusal points at the wrong member, says what to do, and does not repeat the value."""
    with pytest.raises(NightsafeError, match=words) as raised:
        parse_secret({**base, **changed})

    assert (Code.INVALID, pointer) == (raised.value.code, raised.value.problems[0].pointer)
    assert "plaintext" not in str(raised.value)


@pytest.mark.parametrize("member", ["encrypted_value", "key_id"])
def test_each_member_needs_the_other(member: str) -> None:
    """Each member needs the other, and plaintext beside one of them is refused too."""
    alone = {name: shown for name, shown in TEXT.items() if name != member}
    with pytest.raises(NightsafeError, match=f"'{member}' is missing"):
        parse_secret(alone)
    with pytest.raises(NightsafeError, match="give only one of them"):
        parse_secret({**alone, "text": "plaintext"})


def test_a_sealed_value_shows_only_its_key_id() -> None:
    """The repr shows only the key id, and wiping changes nothing."""
    VALUE.wipe()

    assert "SealedByClient(key_id='0123456789abcdef')" == repr(VALUE)
    assert b"sealed" == VALUE.sealed
