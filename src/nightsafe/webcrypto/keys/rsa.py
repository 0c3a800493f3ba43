"""Checks RSA keys, for RSASSA-PKCS1-v1_5, RSA-PSS, RSA-OAEP, and the runtime's own RSA-RAW."""

from typing import Final

from nightsafe.webcrypto.algorithms import check_hash, folded, required_hash
from nightsafe.webcrypto.errors import KeyRefusedError, data_error, operation_error, printable, support_error
from nightsafe.webcrypto.jwk import JsonWebKey
from nightsafe.webcrypto.keys.asymmetric import Imported, read_key
from nightsafe.webcrypto.material import RsaKey
from nightsafe.webcrypto.request import ImportRequest
from nightsafe.webcrypto.usages import ENCRYPT, SIGN, WRAP, require_usage

_HASH_OF_ALG: Final = {
    **dict.fromkeys(("RS1", "PS1", "RSA-OAEP"), "sha-1"),
    **dict.fromkeys(("RS256", "PS256", "RSA-OAEP-256"), "sha-256"),
    **dict.fromkeys(("RS384", "PS384", "RSA-OAEP-384"), "sha-384"),
    **dict.fromkeys(("RS512", "PS512", "RSA-OAEP-512"), "sha-512"),
}
_RAW_ALGS: Final = frozenset({"RS1", "RS256", "RS384", "RS512"})

_CRT: Final = {
    "p": "First Prime Factor",
    "q": "Second Prime Factor",
    "dp": "First Factor CRT Exponent",
    "dq": "Second Factor CRT Exponent",
    "qi": "First CRT Coefficient",
}
_CRT_INCOMPLETE: Final = (
    "Invalid RSA private key in JSON Web Key; if one Prime Factor or CRT Exponent/Coefficient parameter is "
    'present, then they must all be present ("p", "q", "dp", "dq", "qi").'
)

_MODULUS_BITS: Final = range(256, 16384 + 1)
_EXPONENT_BYTES: Final = 4
_EXPONENTS: Final = frozenset({3, 17, 37, 65537})


def check_rsa(request: ImportRequest) -> None:
    """Check a key of RSASSA-PKCS1-v1_5, RSA-PSS or RSA-OAEP.

    Raises:
        KeyRefusedError: when the runtime would not import the key.
    """
    hash_name = required_hash(request.algorithm)
    check_hash(hash_name)

    def read_jwk(jwk: JsonWebKey) -> RsaKey:
        # The runtime's message names this algorithm for every algorithm.
        _check_type(jwk, "RSASSA-PKCS1-v1_5")
        _check_alg(jwk, request.algorithm.name, hash_name)
        return _read_numbers(jwk)

    allowed = ENCRYPT | WRAP if request.name == "RSA-OAEP" else SIGN
    _finish(request, read_key(request, allowed, read_jwk))


def check_rsa_raw(request: ImportRequest) -> None:
    """Check a key of RSA-RAW, the runtime's own algorithm for blind signatures.

    Raises:
        KeyRefusedError: when the runtime would not import the key.
    """

    def read_jwk(jwk: JsonWebKey) -> RsaKey:
        _check_type(jwk, "RSA-RAW")
        alg = jwk.get("alg")
        if alg is not None and alg not in _RAW_ALGS:
            raise _alg_error(alg)
        return _read_numbers(jwk)

    imported = read_key(request, SIGN, read_jwk)
    if not imported.private:
        field = "key_jwk/d" if request.format == "jwk" else "format"
        raise data_error('RSA-RAW only supports private keys but requested "public".', field)
    _finish(request, imported)


def _finish(request: ImportRequest, imported: Imported) -> None:
    """Make the checks that the runtime makes after it has read a key."""
    field = "key_jwk" if request.format == "jwk" else "key_base64"
    if not isinstance(imported.key, RsaKey):
        raise data_error("Input was not an RSA key.", field)
    _check_modulus(imported.key.modulus_bytes, "key_jwk/n" if field == "key_jwk" else field)
    _check_exponent(imported.key.exponent, "key_jwk/e" if field == "key_jwk" else field)
    if imported.private:
        require_usage(request.usages)


def _check_modulus(size: int, field: str) -> None:
    """Refuse a modulus whose size, in whole bytes, is out of range."""
    if 8 * size not in _MODULUS_BITS:
        message = f"The modulus length must be a multiple of 8 and between 256 and 16k, but {8 * size} was requested."
        raise operation_error(message, field)


def _check_exponent(exponent: int, field: str) -> None:
    """Refuse any exponent except the four that the runtime accepts."""
    if exponent >> (8 * _EXPONENT_BYTES):
        message = 'The "publicExponent" must be either 3 or 65537, but got a number larger than 2^32.'
        raise operation_error(message, field)
    if exponent not in _EXPONENTS:
        raise operation_error(f"Imported RSA key has invalid publicExponent {exponent}.", field)


def _check_type(jwk: JsonWebKey, name: str) -> None:
    """Refuse a key type other than "RSA"."""
    if jwk.kty != "RSA":
        message = (
            f'{name} "jwk" key import requires a JSON Web Key with Key Type parameter "kty" '
            f'("{printable(jwk.kty)}") equal to "RSA".'
        )
        raise data_error(message, "key_jwk/kty")


def _check_alg(jwk: JsonWebKey, name: str, hash_name: str) -> None:
    """Refuse a key whose "alg" has another digest than requested; the algorithm in "alg" is not compared."""
    alg = jwk.get("alg")
    if alg is None:
        return
    if name not in ("RSASSA-PKCS1-v1_5", "RSA-PSS", "RSA-OAEP"):
        # This is the only check in which the runtime compares the name's spelling.
        raise support_error(f'Unrecognized RSA variant "{printable(name)}".', "algorithm/name")
    if alg not in _HASH_OF_ALG:
        raise _alg_error(alg)
    if _HASH_OF_ALG[alg] != folded(hash_name):
        message = f'JSON Web Key Algorithm parameter "alg" ("{alg}") does not match requested hash algorithm "{alg}".'
        raise data_error(message, "key_jwk/alg")


def _alg_error(alg: str) -> KeyRefusedError:
    """Build the runtime's error for an unknown "alg"."""
    message = (
        f'Unrecognized or unimplemented algorithm "{printable(alg)}" listed in JSON Web Key Algorithm parameter.'
    )
    return support_error(message, "key_jwk/alg")


def _read_numbers(jwk: JsonWebKey) -> RsaKey:
    """Read the sizes that the checks need; the runtime does not check that the numbers belong together."""
    prefix = "Invalid RSA key in JSON Web Key; missing or invalid"
    modulus = jwk.decode("n", f'{prefix} Modulus parameter ("n").').lstrip(b"\0")
    exponent = jwk.decode("e", f'{prefix} Exponent parameter ("e").')
    if jwk.get("d") is not None:
        jwk.decode("d", f'{prefix} Private Exponent parameter ("d").')
        _read_crt(jwk)
    return RsaKey(len(modulus), int.from_bytes(exponent, "big"))


def _read_crt(jwk: JsonWebKey) -> None:
    """Refuse a key that has some of the other five private numbers, but not all."""
    missing = [member for member in _CRT if jwk.get(member) is None]
    if len(missing) == len(_CRT):
        return
    if missing:
        raise data_error(_CRT_INCOMPLETE, f"key_jwk/{missing[0]}")
    for member, title in _CRT.items():
        jwk.decode(member, f'Invalid RSA key in JSON Web Key; invalid {title} parameter ("{member}").')
