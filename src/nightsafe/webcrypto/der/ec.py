"""Reads keys of NIST curves in DER. Source: RFC 5915, RFC 5480, RFC 3279, and BoringSSL's `ec_asn1.cc`."""

from typing import Final

from nightsafe.webcrypto.der import reader as der
from nightsafe.webcrypto.der.reader import DerError, DerReader
from nightsafe.webcrypto.keys.curves import CURVES, Curve, Point, PointError
from nightsafe.webcrypto.material import EcKey

_CURVE_IDS: Final = {
    bytes.fromhex("2b81040021"): CURVES["P-224"],
    bytes.fromhex("2a8648ce3d030107"): CURVES["P-256"],
    bytes.fromhex("2b81040022"): CURVES["P-384"],
    bytes.fromhex("2b81040023"): CURVES["P-521"],
}
_PRIME_FIELD: Final = bytes.fromhex("2a8648ce3d0101")
_UNCOMPRESSED: Final = b"\x04"


def read_public_key(parameters: DerReader, encoded: bytes) -> EcKey:
    """Read the point of a `SubjectPublicKeyInfo`, whose parameters must name the curve.

    Raises:
        DerError: when the data is not a point on a known named curve.
    """
    curve = _read_named_curve(parameters)
    parameters.finish()
    _decode(curve, encoded)
    return EcKey(curve.name)


def read_parameters(parameters: DerReader) -> Curve:
    """Read the curve of a private key: a curve's name, or the explicit parameters of a known curve.

    Raises:
        DerError: when the data is neither.
    """
    if parameters.peek(der.SEQUENCE):
        return _read_explicit_curve(parameters.enter(der.SEQUENCE))
    return _read_named_curve(parameters)


def read_private_key(reader: DerReader, curve: Curve | None = None) -> EcKey:
    """Read an `ECPrivateKey`.

    Args:
        reader: a reader at the start of the structure.
        curve: the curve of the enclosing structure, which the key's own curve must equal; None when the key must name
            its own curve.

    Raises:
        DerError: when the data is not an `ECPrivateKey`, or its public key does not belong to its private key.
    """
    body = reader.enter(der.SEQUENCE)
    if body.take_version() != 1:
        raise DerError
    scalar = int.from_bytes(body.take(der.OCTET_STRING), "big")
    curve = _read_own_curve(body, curve)
    if not 0 < scalar < curve.order:
        raise DerError
    public = _read_own_public_key(body, curve)
    body.finish()
    if public is not None and public != curve.point_of(scalar):
        raise DerError
    return EcKey(curve.name)


def _read_own_curve(body: DerReader, outer: Curve | None) -> Curve:
    """Return the curve inside an `ECPrivateKey`, or else the enclosing structure's curve."""
    if body.peek(der.CONTEXT_0):
        parameters = body.enter(der.CONTEXT_0)
        own = read_parameters(parameters)
        parameters.finish()
        if outer is not None and own is not outer:
            raise DerError
        return own
    if outer is None:
        raise DerError
    return outer


def _read_own_public_key(body: DerReader, curve: Curve) -> Point | None:
    """Read the public key inside an `ECPrivateKey`, if present."""
    if not body.peek(der.CONTEXT_1):
        return None
    inner = body.enter(der.CONTEXT_1)
    encoded = inner.take_bit_string()
    inner.finish()
    return _decode(curve, encoded)


def _decode(curve: Curve, encoded: bytes) -> Point:
    """Decode a point; raise the parser's error if it is not one."""
    try:
        return curve.decode_point(encoded)
    except PointError:
        raise DerError from None


def _read_named_curve(parameters: DerReader) -> Curve:
    """Return the curve that an object identifier names."""
    curve = _CURVE_IDS.get(parameters.take(der.OBJECT_IDENTIFIER))
    if curve is None:
        raise DerError
    return curve


def _read_explicit_curve(body: DerReader) -> Curve:
    """Return the known curve with these `ECParameters`."""
    if body.take_version() != 1:
        raise DerError
    field = body.enter(der.SEQUENCE)
    if field.take(der.OBJECT_IDENTIFIER) != _PRIME_FIELD:
        raise DerError
    p = field.take_unsigned()
    field.finish()
    a, b = _read_coefficients(body.enter(der.SEQUENCE))
    base = _read_base(body.take(der.OCTET_STRING))
    order = body.take_unsigned()
    if body.peek(der.INTEGER) and body.take(der.INTEGER) != b"\1":
        raise DerError
    body.finish()
    for curve in CURVES.values():
        if (p, a, b, order, *base) == (curve.p, curve.p - 3, curve.b, curve.order, curve.base_x, curve.base_y):
            return curve
    raise DerError


def _read_coefficients(coefficients: DerReader) -> tuple[int, int]:
    """Read the coefficients a and b; ignore a seed that may follow."""
    a = int.from_bytes(coefficients.take(der.OCTET_STRING), "big")
    b = int.from_bytes(coefficients.take(der.OCTET_STRING), "big")
    if coefficients.peek(der.BIT_STRING):
        coefficients.take(der.BIT_STRING)
    coefficients.finish()
    return a, b


def _read_base(encoded: bytes) -> tuple[int, int]:
    """Read the coordinates of the base point, which must not be compressed."""
    size, odd = divmod(len(encoded) - 1, 2)
    if encoded[:1] != _UNCOMPRESSED or odd:
        raise DerError
    return int.from_bytes(encoded[1 : 1 + size], "big"), int.from_bytes(encoded[1 + size :], "big")
