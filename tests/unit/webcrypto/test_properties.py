"""The validation of `secret_key` bindings accepts or refuses every input, and raises no other error."""

import base64
import json
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightsafe.webcrypto import KeyRefusedError, check_key, decode_base64

VECTORS: Final = Path(__file__).parents[2] / "vectors" / "secret-keys"

FIELDS: Final = frozenset(
    {
        "algorithm",
        "algorithm/hash",
        "algorithm/length",
        "algorithm/name",
        "algorithm/namedCurve",
        "format",
        "key_base64",
        "key_jwk",
        "usages",
    }
)
MEMBERS: Final = (
    "alg",
    "crv",
    "d",
    "dp",
    "dq",
    "e",
    "k",
    "key_ops",
    "kty",
    "n",
    "oth",
    "p",
    "q",
    "qi",
    "use",
    "x",
    "y",
)
FORMATS: Final = st.sampled_from(["raw", "pkcs8", "spki", "jwk"]) | st.text()

# With lone surrogates, which JSON's escapes can spell.
TEXTS: Final = st.text(st.characters(exclude_categories=())) | st.sampled_from(
    [
        "AES-GCM",
        "hmac",
        "HMAC\0",
        "ECDSA",
        "P-256",
        "SHA-256",
        "RSA-PSS",
        "Ed25519",
        "X25519",
        "sign",
        "oct",
        "AQAB",
        "0x10",
    ],
)
JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.integers(min_value=10**400) | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["name", "toString", "valueOf", *MEMBERS]) | TEXTS, inner, max_size=6)
    ),
    max_leaves=12,
)
NAMES: Final = st.sampled_from(
    [
        "AES-GCM",
        "AES-KW",
        "ECDH",
        "ECDSA",
        "Ed25519",
        "HKDF",
        "HMAC",
        "NODE-ED25519",
        "PBKDF2",
        "RSA-OAEP",
        "RSA-PSS",
        "RSA-RAW",
        "RSASSA-PKCS1-v1_5",
        "X25519",
    ]
)
ALGORITHMS: Final = JSON | st.fixed_dictionaries(
    {"name": NAMES | JSON},
    optional={
        "hash": st.just("SHA-256") | JSON,
        "length": st.integers(0, 300) | JSON,
        "namedCurve": st.sampled_from(["P-256", "P-384", "P-521", "NODE-ED25519"]) | JSON,
    },
)
USAGES: Final = st.lists(st.sampled_from(["sign", "verify", "encrypt", "decrypt", "deriveBits", "wrapKey"]) | TEXTS)
JWKS: Final = st.fixed_dictionaries(
    {"kty": st.sampled_from(["RSA", "EC", "OKP", "oct"]) | JSON},
    optional={
        member: st.binary(max_size=70).map(lambda data: base64.urlsafe_b64encode(data).decode()) | JSON
        for member in MEMBERS
        if member != "kty"
    },
)


def _real_bindings(*formats: str) -> list[dict[str, Any]]:
    """Return the bindings of these formats that the runtime imports."""
    cases = [
        case
        for path in sorted(VECTORS.glob("*.json"))
        for case in json.loads(path.read_text(encoding="utf-8"))["vectors"]
    ]
    return [case["binding"] for case in cases if case["expect"]["ok"] and case["binding"]["format"] in formats]


DER_BINDINGS: Final = _real_bindings("pkcs8", "spki")
JWK_BINDINGS: Final = _real_bindings("jwk")


def _refusal(format: str, algorithm: object, usages: list[str], material: object) -> KeyRefusedError | None:  # noqa: A002
    """Return our refusal, or None; any other exception fails the test."""
    try:
        check_key(format, algorithm, usages, material)
    except KeyRefusedError as error:
        return error
    return None


def _base64_refusal(text: str) -> KeyRefusedError | None:
    """Return our refusal of a base64 text, or None."""
    try:
        decode_base64(text)
    except KeyRefusedError as error:
        return error
    return None


def _assert_well_formed(refusal: KeyRefusedError | None) -> None:
    """Check that a refusal names an existing field, and can be encoded."""
    if refusal is None:
        return
    member = refusal.field.removeprefix("key_jwk/")
    assert refusal.field in FIELDS or member in MEMBERS
    refusal.message.encode()
    assert len(refusal.message) < 500


@given(FORMATS, ALGORITHMS, USAGES, JSON | JWKS | st.binary())
def test_any_json_is_accepted_or_refused(format: str, algorithm: object, usages: list[str], material: object) -> None:  # noqa: A002
    """Any JSON as algorithm, usages or key is accepted or refused."""
    _assert_well_formed(_refusal(format, algorithm, usages, material))


@given(NAMES, st.sampled_from(["P-256", "P-384", "P-521", "NODE-ED25519"]), USAGES, JWKS)
def test_any_jwk_of_a_known_algorithm_is_accepted_or_refused(
    name: str, curve: str, usages: list[str], jwk: dict[str, object]
) -> None:
    """Any key with a valid algorithm is accepted or refused."""
    algorithm = {"name": name, "hash": "SHA-256", "namedCurve": curve}

    _assert_well_formed(_refusal("jwk", algorithm, usages, jwk))


@given(st.sampled_from(JWK_BINDINGS), st.sampled_from(MEMBERS), JSON)
def test_any_jwk_with_a_changed_member_is_accepted_or_refused(
    binding: dict[str, Any], member: str, value: object
) -> None:
    """A valid key with any one member replaced is accepted or refused."""
    jwk = {**binding["key_jwk"], member: value}

    _assert_well_formed(_refusal("jwk", binding["algorithm"], binding["usages"], jwk))


@given(st.sampled_from(DER_BINDINGS), st.data())
def test_any_changed_der_is_accepted_or_refused(binding: dict[str, Any], data: st.DataObject) -> None:
    """A valid key with any bytes replaced is accepted or refused."""
    key = decode_base64(binding["key_base64"])
    start = data.draw(st.integers(0, len(key)))
    end = data.draw(st.integers(start, len(key)))
    changed = key[:start] + data.draw(st.binary(max_size=8)) + key[end:]

    _assert_well_formed(_refusal(binding["format"], binding["algorithm"], binding["usages"], changed))


@given(st.sampled_from(DER_BINDINGS), st.data())
def test_a_truncated_der_is_refused(binding: dict[str, Any], data: st.DataObject) -> None:
    """A truncated key is refused, with the key as the field."""
    key = decode_base64(binding["key_base64"])
    cut = key[: data.draw(st.integers(0, len(key) - 1))]

    refusal = _refusal(binding["format"], binding["algorithm"], binding["usages"], cut)

    assert refusal is not None
    assert (refusal.error, refusal.field) == ("DataError", "key_base64")


@given(st.sampled_from(DER_BINDINGS), st.binary(min_size=1, max_size=200))
def test_a_der_with_trailing_bytes_is_refused(binding: dict[str, Any], tail: bytes) -> None:
    """A key with trailing bytes is refused with their number."""
    key = decode_base64(binding["key_base64"])

    refusal = _refusal(binding["format"], binding["algorithm"], binding["usages"], key + tail)

    assert refusal is not None
    assert f"Invalid {len(tail)} trailing bytes after {binding['format'].upper()} input." == refusal.message


@given(st.binary())
def test_base64_of_any_bytes_is_decoded(data: bytes) -> None:
    """Base64 is decoded with padding, without it, and in lines."""
    text = base64.b64encode(data).decode()

    assert data == decode_base64(text)
    assert data == decode_base64(text.rstrip("="))
    assert data == decode_base64("\n".join(text[at : at + 64] for at in range(0, len(text), 64)))


@given(TEXTS)
def test_any_text_is_base64_or_refused(text: str) -> None:
    """Any text decodes, or is refused without being shown."""
    refusal = _base64_refusal(text)

    if refusal is not None:
        _assert_well_formed(refusal)
        assert (refusal.error, refusal.field) == ("InvalidCharacterError", "key_base64")
        assert refusal.message.startswith("The key is not valid base64.")


KEY_MEMBERS = [
    (binding, member)
    for binding in JWK_BINDINGS
    for member in ("d", "p", "q", "dp", "dq", "qi", "k", "x", "y", "n", "e")
    if isinstance(binding["key_jwk"], dict)
    and isinstance(binding["key_jwk"].get(member), str)
    and len(binding["key_jwk"][member]) > 8
]


@given(st.sampled_from(KEY_MEMBERS), st.data())
def test_no_refusal_shows_a_key(place: tuple[dict[str, Any], str], data: st.DataObject) -> None:
    """A refusal of a member with key material does not show it."""
    binding, member = place
    good = binding["key_jwk"][member]
    at = data.draw(st.integers(0, len(good) - 1))
    spoiled = good[:at] + data.draw(st.sampled_from("!\0é*=")) + good[at:]

    refusal = _refusal("jwk", binding["algorithm"], binding["usages"], {**binding["key_jwk"], member: spoiled})

    if refusal is not None:
        assert spoiled not in str(refusal)
        assert good not in str(refusal)


def test_very_deep_nesting_is_refused() -> None:
    """Nesting deeper than Python's stack is refused like any other wrong value."""
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]

    refusal = _refusal("jwk", {"name": deep, "hash": {"name": deep}}, [], {"kty": deep, "key_ops": [deep]})

    assert refusal is not None
    assert refusal.error == "NotSupportedError"


@pytest.mark.parametrize("member", ["key_ops", "oth"])
def test_a_very_long_array_is_refused(member: str) -> None:
    """An array with too many elements is refused by its length."""
    refusal = _refusal("jwk", "AES-GCM", ["encrypt"], {"kty": "oct", "k": "A" * 22, member: [{}] * 257})

    assert refusal is not None
    assert f"key_jwk/{member}" == refusal.field
