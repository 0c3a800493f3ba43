"""Infers the algorithm and usages of a key if they are not given.

Source: the Web Cryptography API's algorithms with their usages, and RFC 7518 for the names in a JWK.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from nightsafe.cli.terminal.errors import CommandError
from nightsafe.webcrypto import KeyRefusedError, check_key

SIGNATURES: Final = ("RSASSA-PKCS1-v1_5", "RSA-PSS", "ECDSA", "Ed25519")
AGREEMENTS: Final = ("ECDH", "X25519")
CIPHERS: Final = ("AES-GCM", "AES-CBC", "AES-CTR")
DERIVATIONS: Final = ("HKDF", "PBKDF2")
SYMMETRIC: Final = ("HMAC", *CIPHERS, "AES-KW", *DERIVATIONS)
ALGORITHMS: Final = (*SIGNATURES, "RSA-OAEP", *AGREEMENTS, *SYMMETRIC)
USAGES: Final = ("encrypt", "decrypt", "sign", "verify", "deriveKey", "deriveBits", "wrapKey", "unwrapKey")
HASHES: Final = ("SHA-1", "SHA-256", "SHA-384", "SHA-512")
DEFAULT_HASH: Final = "SHA-256"

_HASHED: Final = frozenset({"RSASSA-PKCS1-v1_5", "RSA-PSS", "RSA-OAEP", "HMAC"})
_CURVED: Final = frozenset({"ECDSA", "ECDH"})
_BY_FAMILY: Final = {"RSA": "RSASSA-PKCS1-v1_5", "EC": "ECDSA", "Ed25519": "Ed25519", "X25519": "X25519"}
_FAMILY_NAMES: Final[dict[str, str]] = {
    "RS": "RSASSA-PKCS1-v1_5",
    "PS": "RSA-PSS",
    "HS": "HMAC",
    "ES": "ECDSA",
}


class Family(NamedTuple):
    """A key's type, and what the key says about its use.

    Attributes:
        name: `RSA`, `EC`, `Ed25519`, `X25519`, or `oct` for bytes.
        private: whether it is a private or secret key, not a public key.
        curve: the curve of an EC key.
        suggested: the algorithm that the key names, or "".
        hash: the hash function that the key names, or "".
        usages: the usages that the key names, or None.
    """

    name: str
    private: bool
    curve: str = ""
    suggested: str = ""
    hash: str = ""
    usages: tuple[str, ...] | None = None


class Use(NamedTuple):
    """The algorithm and usages of a key's binding."""

    algorithm: dict[str, Any]
    usages: list[str]


def use_of(family: Family, algorithm: str | None, digest: str | None, usages: Sequence[str]) -> Use:
    """Return the given algorithm and usages, or else those that the key names, or else the usual ones for its type.

    Raises:
        CommandError: if the algorithm is neither given nor inferable.
    """
    name = algorithm or family.suggested or _BY_FAMILY.get(family.name)
    if not name:
        raise CommandError(
            f"the algorithm cannot be inferred from raw bytes; give --algorithm: {', '.join(SYMMETRIC)}"
        )
    parameters: dict[str, Any] = {"name": name}
    if name in _HASHED:
        parameters["hash"] = digest or family.hash or DEFAULT_HASH
    if name in _CURVED and family.curve:
        parameters["namedCurve"] = family.curve
    chosen = list(usages) or (
        usual_usages(name, private=family.private) if family.usages is None else [*family.usages]
    )
    return Use(parameters, chosen)


def usual_usages(algorithm: str, *, private: bool) -> list[str]:
    """Return the usual usages of keys of an algorithm."""
    if algorithm == "HMAC":
        return ["sign", "verify"]
    if algorithm in SIGNATURES:
        return ["sign"] if private else ["verify"]
    if algorithm == "RSA-OAEP":
        return ["decrypt"] if private else ["encrypt"]
    if algorithm in (*AGREEMENTS, *DERIVATIONS):
        return ["deriveKey", "deriveBits"] if private else []
    return ["wrapKey", "unwrapKey"] if algorithm == "AES-KW" else ["encrypt", "decrypt"]


def jwk_family(jwk: Mapping[str, Any]) -> Family:
    """Return the family of a JWK.

    Raises:
        CommandError: if no algorithm supports its type.
    """
    kind, curve = jwk.get("kty"), str(jwk.get("crv") or "")
    suggested, digest = _jwk_algorithm(str(jwk.get("alg") or ""), str(jwk.get("use") or ""), kind)
    operations = jwk.get("key_ops")
    usages = tuple(map(str, operations)) if isinstance(operations, list) else None
    if kind == "oct":
        return Family("oct", private=True, suggested=suggested, hash=digest, usages=usages)
    private = "d" in jwk
    if kind == "RSA":
        return Family("RSA", private, suggested=suggested, hash=digest, usages=usages)
    if kind == "EC":
        return Family("EC", private, curve, suggested, digest, usages)
    if kind == "OKP" and curve in _BY_FAMILY:
        return Family(curve, private, usages=usages)
    raise CommandError("the JWK has an unknown type: its 'kty' must be RSA, EC, OKP or oct")


def refuse_unusable(key_format: str, use: Use, content: object) -> None:
    """Refuse a key that the Workers runtime would not import.

    Raises:
        CommandError: with the runtime's message.
    """
    try:
        check_key(key_format, use.algorithm, use.usages, content)
    except KeyRefusedError as refused:
        raise CommandError(f"the Workers runtime would not import this key: {refused} (at {refused.field})") from None


def _jwk_algorithm(alg: str, use: str, kind: object) -> tuple[str, str]:
    """Return the algorithm and hash function for a JWK's `alg` (RFC 7518), or else for its `use`."""
    digest = f"SHA-{alg[-3:]}" if alg[-3:] in {"256", "384", "512"} else ""
    if alg[:2] in _FAMILY_NAMES and digest:
        return _FAMILY_NAMES[alg[:2]], digest
    if alg.startswith("RSA-OAEP"):
        return "RSA-OAEP", digest or "SHA-1"
    if alg.startswith("ECDH-ES"):
        return "ECDH", ""
    if alg.startswith("A") and alg[4:] in {"GCM", "CBC", "CTR", "KW"}:
        return f"AES-{alg[4:]}", ""
    if use == "enc":
        return {"RSA": "RSA-OAEP", "EC": "ECDH"}.get(str(kind), ""), ""
    return "", ""
