"""The NIST curves: checks that points are on them, and derives the public point of a private key.

Source: SEC 2 version 2.0 and SEC 1 version 2.0, section 2.3.4. Source of the refusals: BoringSSL's
`crypto/fipsmodule/ec/oct.cc.inc`.
"""

from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

_UNCOMPRESSED: Final = 0x04
_COMPRESSED: Final = 0x02

NOT_ON_CURVE: Final = "Point is not on curve."
INVALID_ENCODING: Final = "Invalid point encoding."
# The runtime finds two errors here and reports both with the first error's message.
INVALID_COMPRESSED: Final = "Invalid compressed point. Invalid compressed point."


class PointError(Exception):
    """The bytes or coordinates are not a point on the curve.

    Attributes:
        reason: the runtime's message, or "" when the runtime gives none.
    """

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Point:
    """A point: x, and only the last bit of y, which distinguishes the two points with that x."""

    x: int
    y_bit: int


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve y² = x³ - 3x + b over the integers modulo p.

    Attributes:
        name: as in `namedCurve`.
        size: the size of a coordinate, in bytes.
        p: the prime.
        b: the coefficient.
        order: the order of the base point.
        base_x: the base point's x.
        base_y: the base point's y.
        library: the same curve in `cryptography`.
    """

    name: str
    size: int
    p: int
    b: int
    order: int
    base_x: int
    base_y: int
    library: ec.EllipticCurve

    def point_at(self, x: int, y: int) -> Point:
        """Return the point with these coordinates.

        Raises:
            PointError: when a coordinate is out of range, or the point is not on the curve.
        """
        if x >= self.p or y >= self.p:
            raise PointError
        if (y * y - self._y_squared(x)) % self.p:
            raise PointError(NOT_ON_CURVE)
        return Point(x, y & 1)

    def decode_point(self, encoded: bytes) -> Point:
        """Decode a point, compressed or not; refuse the hybrid form, as the runtime does.

        Raises:
            PointError: when the bytes are not a point on the curve.
        """
        if not encoded:
            raise PointError
        if encoded[0] == _UNCOMPRESSED:
            return self._decode_uncompressed(encoded[1:])
        return self._decode_compressed(encoded[0], encoded[1:])

    def point_of(self, scalar: int) -> Point:
        """Return the public point of a private key, which must be from 1 to `order` - 1."""
        numbers = ec.derive_private_key(scalar, self.library).public_key().public_numbers()
        return Point(numbers.x, numbers.y & 1)

    def _y_squared(self, x: int) -> int:
        """Return y² for a given x."""
        return (x * x * x - 3 * x + self.b) % self.p

    def _decode_uncompressed(self, coordinates: bytes) -> Point:
        """Decode a point from both coordinates."""
        if len(coordinates) != 2 * self.size:
            raise PointError(INVALID_ENCODING)
        x, y = coordinates[: self.size], coordinates[self.size :]
        return self.point_at(int.from_bytes(x, "big"), int.from_bytes(y, "big"))

    def _decode_compressed(self, form: int, coordinate: bytes) -> Point:
        """Decode x and one bit of y; the point exists if y² is a square (Euler's criterion)."""
        if form & ~1 != _COMPRESSED or len(coordinate) != self.size:
            raise PointError(INVALID_ENCODING)
        x = int.from_bytes(coordinate, "big")
        if x >= self.p:
            raise PointError
        if pow(self._y_squared(x), (self.p - 1) // 2, self.p) != 1:
            raise PointError(INVALID_COMPRESSED)
        return Point(x, form & 1)


_P224: Final = Curve(
    name="P-224",
    size=28,
    p=2**224 - 2**96 + 1,
    b=0xB4050A850C04B3ABF54132565044B0B7D7BFD8BA270B39432355FFB4,
    order=0xFFFFFFFFFFFFFFFFFFFFFFFFFFFF16A2E0B8F03E13DD29455C5C2A3D,
    base_x=0xB70E0CBD6BB4BF7F321390B94A03C1D356C21122343280D6115C1D21,
    base_y=0xBD376388B5F723FB4C22DFE6CD4375A05A07476444D5819985007E34,
    library=ec.SECP224R1(),
)
_P256: Final = Curve(
    name="P-256",
    size=32,
    p=2**256 - 2**224 + 2**192 + 2**96 - 1,
    b=0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
    order=0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    base_x=0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    base_y=0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
    library=ec.SECP256R1(),
)
_P384: Final = Curve(
    name="P-384",
    size=48,
    p=2**384 - 2**128 - 2**96 + 2**32 - 1,
    b=0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF,
    order=0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
    base_x=0xAA87CA22BE8B05378EB1C71EF320AD746E1D3B628BA79B9859F741E082542A385502F25DBF55296C3A545E3872760AB7,
    base_y=0x3617DE4A96262C6F5D9E98BF9292DC29F8F41DBD289A147CE9DA3113B5F0B8C00A60B1CE1D7E819D7A431D7C90EA0E5F,
    library=ec.SECP384R1(),
)
_P521: Final = Curve(
    name="P-521",
    size=66,
    p=2**521 - 1,
    b=int(
        "0051953EB9618E1C9A1F929A21A0B68540EEA2DA725B99B315F3B8B489918EF1"
        "09E156193951EC7E937B1652C0BD3BB1BF073573DF883D2C34F1EF451FD46B503F00",
        16,
    ),
    order=int(
        "01FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"
        "FA51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409",
        16,
    ),
    base_x=int(
        "00C6858E06B70404E9CD9E3ECB662395B4429C648139053FB521F828AF606B4D"
        "3DBAA14B5E77EFE75928FE1DC127A2FFA8DE3348B3C1856A429BF97E7E31C2E5BD66",
        16,
    ),
    base_y=int(
        "011839296A789A3BC0045C8A5FB42C7D1BD998F54449579B446817AFBD17273E"
        "662C97EE72995EF42640C550B9013FAD0761353C7086A272C24088BE94769FD16650",
        16,
    ),
    library=ec.SECP521R1(),
)

CURVES: Final = {curve.name: curve for curve in (_P224, _P256, _P384, _P521)}
