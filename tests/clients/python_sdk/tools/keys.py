"""A new key in each format."""

import base64
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

_ECDSA = {"name": "ECDSA", "namedCurve": "P-256"}


def _standard(data: bytes) -> str:
    """Encode bytes in base64 as in `key_base64`."""
    return base64.b64encode(data).decode()


def _url_safe(number: int) -> str:
    """Encode a number in base64url without padding, as in a JWK."""
    return base64.urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode()


def fresh_keys() -> dict[str, dict[str, Any]]:
    """Return the members of a secret_key by format, without its name; the last member is the key itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    private, public = key.private_numbers(), key.public_key().public_numbers()
    pkcs8 = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    jwk = {
        "kty": "EC",
        "crv": "P-256",
        "x": _url_safe(public.x),
        "y": _url_safe(public.y),
        "d": _url_safe(private.private_value),
    }
    return {
        "raw": {
            "type": "secret_key",
            "format": "raw",
            "algorithm": {"name": "HMAC", "hash": "SHA-256"},
            "usages": ["sign", "verify"],
            "key_base64": _standard(private.private_value.to_bytes(32, "big")),
        },
        "pkcs8": {
            "type": "secret_key",
            "format": "pkcs8",
            "algorithm": _ECDSA,
            "usages": ["sign"],
            "key_base64": _standard(pkcs8),
        },
        "spki": {
            "type": "secret_key",
            "format": "spki",
            "algorithm": _ECDSA,
            "usages": ["verify"],
            "key_base64": _standard(spki),
        },
        "jwk": {"type": "secret_key", "format": "jwk", "algorithm": _ECDSA, "usages": ["sign"], "key_jwk": jwk},
    }


def shown(key: dict[str, Any]) -> dict[str, Any]:
    """Return the members of a key that a read returns."""
    return {name: value for name, value in key.items() if name not in {"key_base64", "key_jwk"}}
