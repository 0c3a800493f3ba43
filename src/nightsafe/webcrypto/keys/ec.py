"""Checks keys of NIST curves, for ECDSA and ECDH."""

from typing import Final

from nightsafe.webcrypto.algorithms import curve_for, required_curve_name
from nightsafe.webcrypto.errors import data_error, operation_error, printable, support_error
from nightsafe.webcrypto.jwk import JsonWebKey
from nightsafe.webcrypto.keys.asymmetric import Imported, read_key
from nightsafe.webcrypto.keys.curves import CURVES, Curve, Point, PointError
from nightsafe.webcrypto.material import EcKey
from nightsafe.webcrypto.request import ImportRequest
from nightsafe.webcrypto.usages import DERIVE, SIGN, check_public_usages, require_usage

_CURVE_OF_ALG: Final = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}


def check_ec(request: ImportRequest) -> None:
    """Check a key of ECDSA or ECDH.

    Raises:
        KeyRefusedError: when the runtime would not import the key.
    """
    requested_curve = required_curve_name(request.algorithm)
    curve = CURVES[curve_for(requested_curve)]
    allowed = SIGN if request.name == "ECDSA" else DERIVE
    if request.format == "raw" and isinstance(request.material, bytes):
        check_public_usages(request.name, request.usages, allowed)
        _check_raw(curve, request.material)
        return
    imported = read_key(request, allowed, lambda jwk: _read_jwk(jwk, curve, request.name))
    _check_kind(imported, request.name, curve, requested_curve)
    if imported.private:
        require_usage(request.usages)


def _check_raw(curve: Curve, encoded: bytes) -> None:
    """Check the bytes of a raw public key, which must be a point."""
    try:
        curve.decode_point(encoded)
    except PointError as error:
        raise data_error(f"Failed to import raw EC key data{_describe(error)}", "key_base64") from None


def _check_kind(imported: Imported, name: str, curve: Curve, requested_curve: str) -> None:
    """Refuse a key of another curve than requested; the two algorithms have different messages."""
    if not isinstance(imported.key, EcKey):
        message = "Input was not an EC key." if name == "ECDSA" else "Input was not an EC public key nor a DH key."
        raise data_error(message, "key_base64")
    if imported.key.curve != curve.name:
        comma = "" if name == "ECDSA" else ","
        message = (
            f'"algorithm.namedCurve" "{printable(requested_curve)}"{comma} does not match the curve specified by '
            "the input key data."
        )
        raise data_error(message, "algorithm/namedCurve")


def _read_jwk(jwk: JsonWebKey, curve: Curve, name: str) -> EcKey:
    """Read coordinates on the requested curve and a private key that fits them; ignore "crv", as the runtime does."""
    if jwk.kty != "EC":
        message = (
            'Elliptic curve "jwk" key import requires a JSON Web Key with Key Type parameter "kty" '
            f'("{printable(jwk.kty)}") equal to "EC".'
        )
        raise data_error(message, "key_jwk/kty")
    if name == "ECDSA":
        _check_alg(jwk, curve)
    x = jwk.decode("x", 'Invalid EC key in JSON Web Key; missing "x".')
    y = jwk.decode("y", 'Invalid EC key in JSON Web Key; missing "y".')
    try:
        public = curve.point_at(int.from_bytes(x, "big"), int.from_bytes(y, "big"))
    except PointError as error:
        message = 'Invalid EC key; public key coordinates "x" and "y" are invalid'
        raise operation_error(f"{message}{_describe(error)}", "key_jwk/x") from None
    if jwk.get("d") is not None:
        _check_private(jwk, curve, public)
    return EcKey(curve.name)


def _check_alg(jwk: JsonWebKey, curve: Curve) -> None:
    """Refuse a key whose "alg" does not belong to the curve."""
    alg = jwk.get("alg")
    if alg is None:
        return
    if alg not in _CURVE_OF_ALG:
        message = (
            f'Unrecognized or unimplemented algorithm "{printable(alg)}" listed in JSON Web Key Algorithm parameter.'
        )
        raise support_error(message, "key_jwk/alg")
    if _CURVE_OF_ALG[alg] != curve.name:
        message = f'JSON Web Key Algorithm parameter "alg" ("{alg}") does not match requested curve.'
        raise data_error(message, "key_jwk/alg")


def _check_private(jwk: JsonWebKey, curve: Curve, public: Point) -> None:
    """Refuse a private key that is out of range or does not belong to the public key."""
    refusal = 'Invalid EC key in JSON Web Key; missing or invalid private key component ("d").'
    scalar = int.from_bytes(jwk.decode("d", refusal), "big")
    if not 0 < scalar < curve.order:
        raise operation_error('Invalid EC key; private key component "d" is invalid.', "key_jwk/d")
    if curve.point_of(scalar) != public:
        raise data_error("Invalid EC key in JSON Web Key.", "key_jwk/d")


def _describe(error: PointError) -> str:
    """Return the end of the runtime's sentence, which has two full stops."""
    return f": {error.reason}." if error.reason else "."
