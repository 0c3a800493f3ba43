"""Reads a key from a file: PEM, DER, JWK or raw bytes, distinguished by their content."""

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519

from nightsafe.cli.secret.key.usage import Family, jwk_family
from nightsafe.cli.terminal.errors import CommandError

ENCODINGS: Final = ("binary", "base64", "hex")
FORMATS: Final = ("auto", "pem", "der", "jwk", "raw")
_CURVES: Final = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_PRIVATE: Final = (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey, x25519.X25519PrivateKey)
_PUBLIC: Final = (rsa.RSAPublicKey, ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey, x25519.X25519PublicKey)

PrivateKey: TypeAlias = (
    rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | x25519.X25519PrivateKey
)
PublicKey: TypeAlias = (
    rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | x25519.X25519PublicKey
)
AskPassword: TypeAlias = Callable[[], str]


class Key(NamedTuple):
    """A key in the format of its binding.

    Attributes:
        format: format of the binding: `raw`, `pkcs8`, `spki` or `jwk`.
        content: the key's bytes, or the JWK.
        family: the key's type and what it says about its use.
    """

    format: str
    content: Any
    family: Family

    def __repr__(self) -> str:
        """Return a text without the key."""
        return f"Key({self.format}, {self.family.name})"


def read_key(content: bytes, form: str, encoding: str, ask_password: AskPassword, *, symmetric: bool) -> Key:
    """Parse a key.

    Args:
        content: the file's bytes.
        form: one of `FORMATS`.
        encoding: encoding of raw bytes, one of `ENCODINGS`.
        ask_password: called for the password if the key is encrypted.
        symmetric: whether to treat content in no other format as raw bytes.

    Raises:
        CommandError: if the content is not a key.
    """
    if form == "raw":
        return _raw(content, encoding)
    if form == "jwk" or (form == "auto" and content.lstrip()[:1] == b"{"):
        return _jwk(content)
    if form == "pem" or (form == "auto" and b"-----BEGIN " in content):
        return key_from_object(_load(content, ask_password, _PEM))
    try:
        return key_from_object(_load(content, ask_password, _DER))
    except CommandError:
        if form == "auto" and symmetric:
            return _raw(content, encoding)
        raise


def key_from_object(key: PrivateKey | PublicKey) -> Key:
    """Convert a loaded key: a private key to PKCS #8, a public key to SubjectPublicKeyInfo.

    Raises:
        CommandError: if the Workers runtime has no algorithm for keys of this type.
    """
    der = serialization.Encoding.DER
    if isinstance(key, _PRIVATE):
        plain = serialization.NoEncryption()
        return Key(
            "pkcs8", key.private_bytes(der, serialization.PrivateFormat.PKCS8, plain), _family(key, private=True)
        )
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return Key("spki", key.public_bytes(der, spki), _family(key, private=False))


def public_pem(key: PrivateKey) -> str:
    """Return the public half of a key, in PEM."""
    pem, spki = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(pem, spki).decode()


def _certificate_key_pem(content: bytes, _: bytes | None) -> object:
    """Load the public key of a certificate in PEM."""
    return x509.load_pem_x509_certificate(content).public_key()


def _certificate_key_der(content: bytes, _: bytes | None) -> object:
    """Load the public key of a certificate in DER."""
    return x509.load_der_x509_certificate(content).public_key()


def _pem_public(content: bytes, _: bytes | None) -> object:
    """Load a public key in PEM."""
    return serialization.load_pem_public_key(content)


def _der_public(content: bytes, _: bytes | None) -> object:
    """Load a public key in DER."""
    return serialization.load_der_public_key(content)


_Loader: TypeAlias = Callable[[bytes, bytes | None], object]
_PEM: Final[tuple[_Loader, ...]] = (
    serialization.load_pem_private_key,
    serialization.load_ssh_private_key,
    _pem_public,
    _certificate_key_pem,
)
_DER: Final[tuple[_Loader, ...]] = (serialization.load_der_private_key, _der_public, _certificate_key_der)


def _load(content: bytes, ask_password: AskPassword, loaders: tuple[_Loader, ...]) -> Any:
    """Load the key with the first loader that accepts it."""
    for loader in loaders:
        try:
            key = loader(content, None)
        except TypeError:  # the library's error for an encrypted key
            key = _decrypted(content, ask_password, loader)
        except (ValueError, UnsupportedAlgorithm):
            continue
        if not isinstance(key, (*_PRIVATE, *_PUBLIC)):
            raise CommandError("the Workers runtime has no algorithm for such a key; give RSA, EC, Ed25519 or X25519")
        return key
    raise CommandError("this is not a key in PEM, DER or JWK; for raw bytes give --format raw and --algorithm")


def _decrypted(content: bytes, ask_password: AskPassword, loader: _Loader) -> object:
    """Load an encrypted key."""
    try:
        return loader(content, ask_password().encode())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise CommandError("the key does not open with that password") from None


def _family(key: PrivateKey | PublicKey, *, private: bool) -> Family:
    """Return the family of a loaded key."""
    if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey):
        return Family("RSA", private)
    if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        curve = _CURVES.get(key.curve.name)
        if curve is None:
            raise CommandError(
                f"the Workers runtime does not support the curve {key.curve.name}; use P-256, P-384 or P-521"
            )
        return Family("EC", private, curve)
    edwards = isinstance(key, ed25519.Ed25519PrivateKey | ed25519.Ed25519PublicKey)
    return Family("Ed25519" if edwards else "X25519", private)


def _jwk(content: bytes) -> Key:
    """Parse a JWK, or the only JWK of a set."""
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError):
        raise CommandError("this is not a JWK: it is not JSON") from None
    if isinstance(parsed, dict) and isinstance(parsed.get("keys"), list):
        if len(parsed["keys"]) != 1:
            raise CommandError(f"the set holds {len(parsed['keys'])} keys; give one JWK")
        parsed = parsed["keys"][0]
    if not isinstance(parsed, dict):
        raise CommandError("this is not a JWK: it is not a JSON object")
    return Key("jwk", parsed, jwk_family(parsed))


def _raw(content: bytes, encoding: str) -> Key:
    """Parse raw bytes: binary, hex or base64."""
    try:
        if encoding == "hex":
            content = bytes.fromhex(content.decode("ascii"))
        elif encoding == "base64":
            packed = b"".join(content.split()).rstrip(b"=")
            content = base64.b64decode(
                packed.translate(bytes.maketrans(b"-_", b"+/")) + b"=" * (-len(packed) % 4), validate=True
            )
    except (ValueError, binascii.Error):
        raise CommandError(f"this is not {encoding}") from None
    return Key("raw", content, Family("oct", private=True))
