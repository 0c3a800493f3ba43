"""The package's entry point, and the table of the check for each algorithm."""

from collections.abc import Callable, Sequence
from typing import Final

from nightsafe.webcrypto.algorithms import ImportAlgorithm, folded, read_algorithm
from nightsafe.webcrypto.errors import printable, support_error, type_error
from nightsafe.webcrypto.javascript import to_string
from nightsafe.webcrypto.jwk import JsonWebKey, read_jwk
from nightsafe.webcrypto.keys.ec import check_ec
from nightsafe.webcrypto.keys.okp import check_okp
from nightsafe.webcrypto.keys.rsa import check_rsa, check_rsa_raw
from nightsafe.webcrypto.keys.symmetric import check_aes, check_derivation, check_hmac
from nightsafe.webcrypto.request import ImportRequest

_BYTE_FORMATS: Final = frozenset({"raw", "pkcs8", "spki"})

_CHECKS: Final[dict[str, Callable[[ImportRequest], None]]] = {
    "AES-CBC": check_aes,
    "AES-CTR": check_aes,
    "AES-GCM": check_aes,
    "AES-KW": check_aes,
    "ECDH": check_ec,
    "ECDSA": check_ec,
    "Ed25519": check_okp,
    "HKDF": check_derivation,
    "HMAC": check_hmac,
    "NODE-ED25519": check_okp,
    "PBKDF2": check_derivation,
    "RSA-OAEP": check_rsa,
    "RSA-PSS": check_rsa,
    "RSA-RAW": check_rsa_raw,
    "RSASSA-PKCS1-v1_5": check_rsa,
    "X25519": check_okp,
}
_NAMES: Final = {folded(name): name for name in _CHECKS}


def check_key(format: str, algorithm: object, usages: Sequence[str], material: object) -> None:  # noqa: A002
    """Check that the Workers runtime would import a key as a `secret_key` binding, and could use it.

    The rules, their order and the messages are the same as in workerd's `crypto.subtle.importKey` with
    `extractable: false` and `strict_crypto_checks`, which is in force from the compatibility date 2023-08-01 on.

    Args:
        format: "raw", "pkcs8", "spki" or "jwk".
        algorithm: the binding's `algorithm`, any JSON value.
        usages: the binding's `usages`.
        material: the decoded bytes of `key_base64`, or the JSON value of `key_jwk`.

    Raises:
        KeyRefusedError: when the runtime would not import the key, or could not use it.
    """
    key = _read_material(format, material)
    parsed = read_algorithm(algorithm)
    usage_names = tuple(to_string(usage, "usages") for usage in usages)
    if key is None:
        raise support_error(f'Unrecognized key import format "{printable(format)}".', "format")
    name = _normalised_name(parsed, bare=not isinstance(algorithm, dict))
    _CHECKS[name](ImportRequest(name, parsed, format, usage_names, key))


def _read_material(format: str, material: object) -> bytes | JsonWebKey | None:  # noqa: A002
    """Read the key in its format; return None for an unknown format."""
    if format == "jwk":
        return read_jwk(material)
    if format not in _BYTE_FORMATS:
        return None
    if not isinstance(material, bytes | bytearray):
        message = 'Import data provided for "raw", "pkcs8", or "spki" import formats must be a buffer source.'
        raise type_error(message, "key_base64")
    return bytes(material)


def _normalised_name(algorithm: ImportAlgorithm, *, bare: bool) -> str:
    """Return the algorithm's name in the table's spelling."""
    name = _NAMES.get(folded(algorithm.name))
    if name is None:
        message = f'Unrecognized key import algorithm "{printable(algorithm.name)}" requested.'
        raise support_error(message, "algorithm" if bare else "algorithm/name")
    return name
