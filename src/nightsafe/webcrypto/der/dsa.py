"""Reads DSA keys in DER, only to say "not an RSA key" in the cases where the runtime says it.

Source: RFC 3279, section 2.3.2, and BoringSSL's `dsa_check_key`.
"""

from typing import Final

from nightsafe.webcrypto.der.reader import SEQUENCE, DerError, DerReader
from nightsafe.webcrypto.material import DsaKey

_MAX_MODULUS_BITS: Final = 10000
_ORDER_BITS: Final = frozenset({160, 224, 256})


def read_public_key(parameters: DerReader, encoded: bytes) -> DsaKey:
    """Read the integer of a `SubjectPublicKeyInfo`, without checking its value.

    Raises:
        DerError: when it is not an integer, or the parameters are out of bounds.
    """
    _read_parameters(parameters)
    reader = DerReader(encoded)
    reader.take_unsigned()
    reader.finish()
    return DsaKey()


def read_private_key(parameters: DerReader, reader: DerReader) -> DsaKey:
    """Read the integer of a `PrivateKeyInfo`.

    Raises:
        DerError: when it is not an integer, or is out of bounds.
    """
    _, order, _ = _read_parameters(parameters)
    if not 0 < reader.take_unsigned() < order:
        raise DerError
    return DsaKey()


def read_traditional_key(reader: DerReader) -> DsaKey:
    """Read OpenSSL's own structure of six integers.

    Raises:
        DerError: when the data is not that structure, or an integer is out of bounds.
    """
    body = reader.enter(SEQUENCE)
    if body.take_version() != 0:
        raise DerError
    p, q, g, public, private = (body.take_unsigned() for _ in range(5))
    body.finish()
    _check_parameters(p, q, g)
    if not (0 < public < p and 0 < private < q):
        raise DerError
    return DsaKey()


def _read_parameters(parameters: DerReader) -> tuple[int, int, int]:
    """Read the modulus, the order and the base."""
    body = parameters.enter(SEQUENCE)
    p, q, g = body.take_unsigned(), body.take_unsigned(), body.take_unsigned()
    body.finish()
    parameters.finish()
    _check_parameters(p, q, g)
    return p, q, g


def _check_parameters(p: int, q: int, g: int) -> None:
    """Refuse parameters outside BoringSSL's bounds."""
    if not (p & 1 and q & 1 and q < p and 0 < g < p):
        raise DerError
    if q.bit_length() not in _ORDER_BITS or p.bit_length() > _MAX_MODULUS_BITS:
        raise DerError
