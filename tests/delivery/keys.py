"""Keys of every algorithm, in every form that the runtime takes, with what Python makes of them."""

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

Fields = dict[str, Any]
AnyPrivate = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | Ed25519PrivateKey | X25519PrivateKey

CURVES: Mapping[str, ec.EllipticCurve] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}


def base64(data: bytes) -> str:
    """Standard base64."""
    return b64encode(data).decode()


def base64url(data: bytes) -> str:
    """As JWK has it (RFC 7515, section 2)."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def symmetric_forms(data: bytes) -> Iterator[tuple[str, Fields]]:
    """A symmetric key, raw and as JWK."""
    yield "raw", {"format": "raw", "key_base64": base64(data)}
    yield "jwk", {"format": "jwk", "key_jwk": {"kty": "oct", "k": base64url(data)}}


def private_forms(key: AnyPrivate) -> Iterator[tuple[str, Fields]]:
    """A private key, as PKCS #8 and as JWK."""
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    yield "pkcs8", {"format": "pkcs8", "key_base64": base64(der)}
    yield "jwk", {"format": "jwk", "key_jwk": jwk(key) | _private_members(key)}


def public_forms(key: AnyPrivate) -> Iterator[tuple[str, Fields]]:
    """Its public half, as SPKI, as JWK and, but for RSA, raw."""
    public = key.public_key()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    yield "spki", {"format": "spki", "key_base64": base64(der)}
    yield "jwk", {"format": "jwk", "key_jwk": jwk(key)}
    if not isinstance(key, rsa.RSAPrivateKey):
        yield "raw", {"format": "raw", "key_base64": base64(raw_public(key))}


def raw_public(key: AnyPrivate) -> bytes:
    """The public half as `raw` has it."""
    public = key.public_key()
    if isinstance(public, ec.EllipticCurvePublicKey):
        return public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return public.public_bytes(Encoding.Raw, PublicFormat.Raw)


def jwk(key: AnyPrivate) -> Fields:
    """The public half as JWK (RFC 7517, RFC 8037)."""
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.public_key().public_numbers()
        return {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}
    if isinstance(key, ec.EllipticCurvePrivateKey):
        point = key.public_key().public_numbers()
        size = (key.key_size + 7) // 8
        name = next(name for name, curve in CURVES.items() if curve.name == key.curve.name)
        return {"kty": "EC", "crv": name, "x": _number(point.x, size), "y": _number(point.y, size)}
    name = "Ed25519" if isinstance(key, Ed25519PrivateKey) else "X25519"
    return {"kty": "OKP", "crv": name, "x": base64url(raw_public(key))}


def _private_members(key: AnyPrivate) -> Fields:
    """What a private JWK has besides."""
    if isinstance(key, rsa.RSAPrivateKey):
        own = key.private_numbers()
        members = {"d": own.d, "p": own.p, "q": own.q, "dp": own.dmp1, "dq": own.dmq1, "qi": own.iqmp}
        return {name: _number(value) for name, value in members.items()}
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return {"d": _number(key.private_numbers().private_value, (key.key_size + 7) // 8)}
    return {"d": base64url(key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()))}


def _number(value: int, size: int = 0) -> str:
    """An unsigned number as JWK has it."""
    return base64url(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


def binding(name: str, form: Fields, algorithm: object, *usages: str) -> Fields:
    """A `secret_key`, as it is uploaded."""
    return {"type": "secret_key", "name": name, "algorithm": algorithm, "usages": list(usages), **form}


def encode(members: Mapping[str, Any]) -> str:
    """A request to the script of `test_keys.py`: bytes become base64."""
    return json.dumps(members, default=lambda data: {"bytes": base64(data)})
