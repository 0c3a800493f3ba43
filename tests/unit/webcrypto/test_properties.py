"""Whatever a `secret_key` binding holds, its validation answers, or refuses with the one error it has."""

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
    """The bindings of these formats that the runtime imports."""
    cases = [
        case
        for path in sorted(VECTORS.glob("*.json"))
        for case in json.loads(path.read_text(encoding="utf-8"))["vectors"]
    ]
    return [case["binding"] for case in cases if case["expect"]["ok"] and case["binding"]["format"] in formats]


DER_BINDINGS: Final = _real_bindings("pkcs8", "spki")
JWK_BINDINGS: Final = _real_bindings("jwk")


def _refusal(format: str, algorithm: object, usages: list[str], material: object) -> KeyRefusedError | None:  # noqa: A002
    """What we say; any other exception than ours fails the test that asked."""
    try:
        check_key(format, algorithm, usages, material)
    except KeyRefusedError as error:
        return error
    return None


def _base64_refusal(text: str) -> KeyRefusedError | None:
    """What we say to a text that should be base64."""
    try:
        decode_base64(text)
    except KeyRefusedError as error:
        return error
    return None


def _assert_well_formed(refusal: KeyRefusedError | None) -> None:
    """A refusal names a field there is, and can be sent as it is."""
    if refusal is None:
        return
    member = refusal.field.removeprefix("key_jwk/")
    assert refusal.field in FIELDS or member in MEMBERS
    refusal.message.encode()
    assert len(refusal.message) < 500


@given(FORMATS, ALGORITHMS, USAGES, JSON | JWKS | st.binary())
def test_any_json_is_answered(format: str, algorithm: object, usages: list[str], material: object) -> None:  # noqa: A002
    """No algorithm, usage or key, of whatever JSON, raises anything but our error."""
    _assert_well_formed(_refusal(format, algorithm, usages, material))


@given(NAMES, st.sampled_from(["P-256", "P-384", "P-521", "NODE-ED25519"]), USAGES, JWKS)
def test_any_jwk_of_a_known_algorithm_is_answered(
    name: str, curve: str, usages: list[str], jwk: dict[str, object]
) -> None:
    """Behind a good algorithm, too, no key raises anything but our error."""
    algorithm = {"name": name, "hash": "SHA-256", "namedCurve": curve}

    _assert_well_formed(_refusal("jwk", algorithm, usages, jwk))


@given(st.sampled_from(JWK_BINDINGS), st.sampled_from(MEMBERS), JSON)
def test_any_jwk_with_one_member_changed_is_answered(binding: dict[str, Any], member: str, value: object) -> None:
    """A good key with any one member replaced by anything is taken or refused, never an accident."""
    jwk = {**binding["key_jwk"], member: value}

    _assert_well_formed(_refusal("jwk", binding["algorithm"], binding["usages"], jwk))


@given(st.sampled_from(DER_BINDINGS), st.data())
def test_any_changed_der_is_answered(binding: dict[str, Any], data: st.DataObject) -> None:
    """A good key with any bytes replaced by others is taken or refused, never an accident."""
    key = decode_base64(binding["key_base64"])
    start = data.draw(st.integers(0, len(key)))
    end = data.draw(st.integers(start, len(key)))
    changed = key[:start] + data.draw(st.binary(max_size=8)) + key[end:]

    _assert_well_formed(_refusal(binding["format"], binding["algorithm"], binding["usages"], changed))


@given(st.sampled_from(DER_BINDINGS), st.data())
def test_no_der_that_was_cut_is_taken(binding: dict[str, Any], data: st.DataObject) -> None:
    """A key that lost its end is refused, and by its own fault."""
    key = decode_base64(binding["key_base64"])
    cut = key[: data.draw(st.integers(0, len(key) - 1))]

    refusal = _refusal(binding["format"], binding["algorithm"], binding["usages"], cut)

    assert refusal is not None
    assert (refusal.error, refusal.field) == ("DataError", "key_base64")


@given(st.sampled_from(DER_BINDINGS), st.binary(min_size=1, max_size=200))
def test_no_der_with_a_tail_is_taken(binding: dict[str, Any], tail: bytes) -> None:
    """A key with something after it is refused, with the count of what is too much."""
    key = decode_base64(binding["key_base64"])

    refusal = _refusal(binding["format"], binding["algorithm"], binding["usages"], key + tail)

    assert refusal is not None
    assert f"Invalid {len(tail)} trailing bytes after {binding['format'].upper()} input." == refusal.message


@given(st.binary())
def test_base64_of_any_bytes_is_read(data: bytes) -> None:
    """What was encoded comes back, with its padding, without it, and in lines."""
    text = base64.b64encode(data).decode()

    assert data == decode_base64(text)
    assert data == decode_base64(text.rstrip("="))
    assert data == decode_base64("\n".join(text[at : at + 64] for at in range(0, len(text), 64)))


@given(TEXTS)
def test_any_text_is_base64_or_refused(text: str) -> None:
    """Any text decodes, or is refused with our error, which shows nothing of it."""
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
    """Spoil a member that holds key material, and the refusal tells of it without it."""
    binding, member = place
    good = binding["key_jwk"][member]
    at = data.draw(st.integers(0, len(good) - 1))
    spoiled = good[:at] + data.draw(st.sampled_from("!\0é*=")) + good[at:]

    refusal = _refusal("jwk", binding["algorithm"], binding["usages"], {**binding["key_jwk"], member: spoiled})

    if refusal is not None:
        assert spoiled not in str(refusal)
        assert good not in str(refusal)


def test_the_deepest_nesting_is_answered() -> None:
    """Nesting beyond Python's own stack is refused like any other nonsense."""
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]

    refusal = _refusal("jwk", {"name": deep, "hash": {"name": deep}}, [], {"kty": deep, "key_ops": [deep]})

    assert refusal is not None
    assert refusal.error == "NotSupportedError"


@pytest.mark.parametrize("member", ["key_ops", "oth"])
def test_no_endless_array_is_walked(member: str) -> None:
    """An array of more elements than anybody means is refused by its length."""
    refusal = _refusal("jwk", "AES-GCM", ["encrypt"], {"kty": "oct", "k": "A" * 22, member: [{}] * 257})

    assert refusal is not None
    assert f"key_jwk/{member}" == refusal.field
