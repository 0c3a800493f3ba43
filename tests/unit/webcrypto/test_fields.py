"""The field that a refused `secret_key` binding names."""

import base64
from typing import Final

import pytest

from nightsafe.webcrypto import KeyRefusedError, check_key, decode_base64

HMAC: Final = {"name": "HMAC", "hash": "SHA-256"}
ECDSA: Final = {"name": "ECDSA", "namedCurve": "P-256"}
RSA: Final = {"name": "RSA-PSS", "hash": "SHA-256"}
OCT: Final = {"kty": "oct", "k": "AAECAwQFBgcICQoLDA0ODw"}
MODULUS: Final = base64.urlsafe_b64encode(b"\xff" * 256).decode()
RSA_JWK: Final = {"kty": "RSA", "n": MODULUS, "e": "AQAB"}
OKP: Final = {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43}


@pytest.mark.parametrize(
    ("field", "format", "algorithm", "usages", "material"),
    [
        ("algorithm", "raw", None, ["sign"], b""),
        ("algorithm", "raw", "FOO", ["sign"], b""),
        ("algorithm/name", "raw", {"name": "FOO"}, ["sign"], b""),
        ("algorithm/name", "jwk", {**RSA, "name": "rsa-pss"}, ["verify"], {**RSA_JWK, "alg": "PS256"}),
        ("algorithm/hash", "raw", {"name": "HMAC"}, ["sign"], b"0"),
        ("algorithm/hash", "raw", {"name": "HMAC", "hash": None}, ["sign"], b"0"),
        ("algorithm/hash", "raw", {"name": "HMAC", "hash": "SHA-3"}, ["sign"], b"0"),
        ("algorithm/namedCurve", "raw", {"name": "ECDSA"}, ["verify"], b"0"),
        ("algorithm/namedCurve", "raw", {"name": "ECDSA", "namedCurve": "P-1"}, ["verify"], b"0"),
        ("algorithm/namedCurve", "raw", {"name": "NODE-ED25519", "namedCurve": "P-256"}, ["verify"], b"0"),
        ("algorithm/length", "raw", {**HMAC, "length": 9}, ["sign"], b"0"),
        ("algorithm/length", "raw", {**HMAC, "length": 2**31}, ["sign"], b"0"),
        ("format", "pem", HMAC, ["sign"], b"0"),
        ("format", "spki", HMAC, ["sign"], b"0"),
        ("format", "jwk", "HKDF", ["deriveBits"], OCT),
        ("usages", "raw", HMAC, ["encrypt"], b"0"),
        ("usages", "raw", HMAC, [], b"0"),
        ("key_base64", "raw", HMAC, ["sign"], b""),
        ("key_base64", "raw", "AES-GCM", ["encrypt"], b"0"),
        ("key_base64", "raw", ECDSA, ["verify"], b"0"),
        ("key_base64", "raw", "Ed25519", ["verify"], b"0"),
        ("key_base64", "raw", HMAC, ["sign"], None),
        ("key_base64", "pkcs8", RSA, ["sign"], b"0"),
        ("key_base64", "spki", RSA, ["verify"], b"0"),
        ("key_jwk", "jwk", HMAC, ["sign"], None),
        ("key_jwk", "jwk", HMAC, ["sign"], "{}"),
        ("key_jwk/kty", "jwk", HMAC, ["sign"], {}),
        ("key_jwk/k", "jwk", HMAC, ["sign"], {"kty": "oct"}),
        ("key_jwk/k", "jwk", "AES-GCM", ["encrypt"], {"kty": "oct", "k": "AAAA"}),
        ("key_jwk/alg", "jwk", HMAC, ["sign"], {**OCT, "alg": "HS512"}),
        ("key_jwk/use", "jwk", "AES-GCM", ["encrypt"], {**OCT, "use": "sig"}),
        ("key_jwk/key_ops", "jwk", "AES-GCM", ["encrypt"], {**OCT, "key_ops": []}),
        ("key_jwk/key_ops", "jwk", "AES-GCM", ["encrypt"], {**OCT, "key_ops": None}),
        ("key_jwk/n", "jwk", RSA, ["verify"], {**RSA_JWK, "n": "AAAA"}),
        ("key_jwk/e", "jwk", RSA, ["verify"], {**RSA_JWK, "e": "AAAA"}),
        ("key_jwk/p", "jwk", RSA, ["sign"], {**RSA_JWK, "d": "AAAA", "q": "AAAA"}),
        ("key_jwk/oth", "jwk", RSA, ["sign"], {**RSA_JWK, "d": "AAAA", "oth": []}),
        ("key_jwk/d", "jwk", "RSA-RAW", ["verify"], RSA_JWK),
        ("key_jwk/x", "jwk", ECDSA, ["verify"], {"kty": "EC"}),
        ("key_jwk/y", "jwk", ECDSA, ["verify"], {"kty": "EC", "x": "AAAA"}),
        ("key_jwk/crv", "jwk", "Ed25519", ["verify"], {**OKP, "crv": "X25519"}),
        ("key_jwk/x", "jwk", "Ed25519", ["verify"], {**OKP, "x": "AAAA"}),
        ("key_jwk/d", "jwk", "Ed25519", ["sign"], {**OKP, "d": "AAAA"}),
    ],
)
def test_a_refusal_names_the_wrong_field(
    field: str,
    format: str,  # noqa: A002
    algorithm: object,
    usages: list[str],
    material: object,
) -> None:
    """A refusal names the field that must be corrected."""
    with pytest.raises(KeyRefusedError) as refusal:
        check_key(format, algorithm, usages, material)

    assert field == refusal.value.field


def test_a_base64url_text_is_recognised() -> None:
    """A base64url text, the most likely mistake, is recognised, and the message does not show it."""
    with pytest.raises(KeyRefusedError, match="standard alphabet") as refusal:
        decode_base64("Zm9v-_==")

    assert refusal.value.field == "key_base64"
    assert "Zm9v" not in str(refusal.value)


def test_an_errors_text_is_the_runtimes() -> None:
    """An error's text is the runtime's error name and message."""
    assert str(KeyRefusedError("DataError", "Invalid SPKI input.", "key_base64")) == "DataError: Invalid SPKI input."
