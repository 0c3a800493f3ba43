"""Checks secret keys, for AES, HMAC, HKDF and PBKDF2."""

from typing import Final

from nightsafe.webcrypto.algorithms import check_hash, required_hash
from nightsafe.webcrypto.errors import data_error, printable, support_error
from nightsafe.webcrypto.jwk import JsonWebKey, check_symmetric_use
from nightsafe.webcrypto.request import ImportRequest, format_error
from nightsafe.webcrypto.usages import DERIVE, ENCRYPT, SIGN, WRAP, check_secret_usages, require_usage

_AES_BITS: Final = frozenset({128, 192, 256})
_UNUSED_BITS: Final = 8


def check_aes(request: ImportRequest) -> None:
    """Check a key of AES-CBC, AES-CTR, AES-GCM or AES-KW.

    Raises:
        KeyRefusedError: when the runtime would not import the key.
    """
    allowed = WRAP if request.name == "AES-KW" else WRAP | ENCRYPT
    check_secret_usages(request.name, request.usages, allowed)
    match request.material:
        case JsonWebKey() as jwk:
            _check_aes_jwk(jwk, request)
        case bytes() as key if request.format == "raw":
            _check_aes_bits(8 * len(key), "key_base64")
        case _:
            raise format_error(request)
    require_usage(request.usages)


def check_hmac(request: ImportRequest) -> None:
    """Check a key of HMAC.

    Raises:
        KeyRefusedError: when the runtime would not import the key.
    """
    check_secret_usages(request.name, request.usages, SIGN)
    hash_name = required_hash(request.algorithm)
    match request.material:
        case JsonWebKey() as jwk:
            bits = 8 * len(_read_hmac_jwk(jwk, hash_name))
            field = "key_jwk/k"
        case bytes() as key if request.format == "raw":
            bits = 8 * len(key)
            field = "key_base64"
        case _:
            raise format_error(request)
    _check_hmac_length(request.algorithm.length, bits, field)
    check_hash(hash_name)
    require_usage(request.usages)


def check_derivation(request: ImportRequest) -> None:
    """Check the input of HKDF or PBKDF2, which may be any bytes and may be empty.

    Raises:
        KeyRefusedError: when the runtime would not import the key.
    """
    check_secret_usages(request.name, request.usages, DERIVE)
    if request.format != "raw":
        # Only one of the two messages ends with a full stop.
        end = "." if request.name == "PBKDF2" else ""
        message = f'{request.name} key must be imported in "raw" format (requested "{request.format}"){end}'
        raise support_error(message, "format")
    require_usage(request.usages)


def _check_aes_jwk(jwk: JsonWebKey, request: ImportRequest) -> None:
    """Check the key's type and size, and its "alg", "use" and "key_ops"."""
    if jwk.kty != "oct":
        message = (
            'Symmetric "jwk" key import requires a JSON Web Key with Key Type parameter "kty" equal to "oct" '
            f'(encountered "{printable(jwk.kty)}").'
        )
        raise data_error(message, "key_jwk/kty")
    refusal = 'Symmetric "jwk" key import requires a base64Url encoding of the key.'
    bits = 8 * len(jwk.decode("k", refusal))
    _check_aes_bits(bits, "key_jwk/k")
    alg, expected = jwk.get("alg"), f"A{bits}{request.name.removeprefix('AES-')}"
    if alg is not None and alg != expected:
        message = f'Symmetric "jwk" key contains invalid "alg" value "{printable(alg)}", expected "{expected}".'
        raise data_error(message, "key_jwk/alg")
    check_symmetric_use(jwk, request.usages)


def _check_aes_bits(bits: int, field: str) -> None:
    """Refuse any size except the three AES key sizes."""
    if bits not in _AES_BITS:
        message = f"Imported AES key length must be 128, 192, or 256 bits but provided {bits}."
        raise data_error(message, field)


def _read_hmac_jwk(jwk: JsonWebKey, hash_name: str) -> bytes:
    """Return the key, if its "kty" and "alg" agree with the request."""
    if jwk.kty != "oct":
        message = (
            'HMAC "jwk" key import requires a JSON Web Key with Key Type parameter ("kty") equal to "oct" '
            f'(encountered "{printable(jwk.kty)}").'
        )
        raise data_error(message, "key_jwk/kty")
    key = jwk.decode("k", 'HMAC "jwk" key import requires a base64Url encoding of the key')
    alg = jwk.get("alg")
    if alg is not None:
        _check_hmac_alg(alg, hash_name)
    return key


def _check_hmac_alg(alg: str, hash_name: str) -> None:
    """Compare the key's "alg" with the digest in the caller's spelling, as the runtime does."""
    if not hash_name.startswith("SHA-"):
        message = f"Unrecognized or unimplemented hash algorithm requested{printable(alg)}"
        raise support_error(message, "key_jwk/alg")
    expected = f"HS{hash_name.removeprefix('SHA-')}"
    if alg != expected:
        message = (
            'HMAC "jwk" key import specifies "alg" that is incompatible with the hash name '
            f'(encountered "{printable(alg)}", expected "{printable(expected)}").'
        )
        raise data_error(message, "key_jwk/alg")


def _check_hmac_length(requested_length: int | None, bits: int, field: str) -> None:
    """Refuse a length that leaves more than seven bits of the key unused."""
    length = bits if requested_length is None else requested_length
    if length == 0 or not bits - _UNUSED_BITS < length <= bits:
        message = (
            f"Imported HMAC key length ({length}) must be a non-zero value up to 7 bits less than, "
            f"and no greater than, the bit length of the raw key data ({bits})."
        )
        raise data_error(message, field if requested_length is None else "algorithm/length")
