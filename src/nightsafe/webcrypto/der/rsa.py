"""Reads RSA keys in DER, with BoringSSL's checks done in integers.

A cryptography library's own check of a private key tests primes, which takes 50 to 350 milliseconds. The runtime does
not test primes, and neither does this module. Source: RFC 8017, appendix A.1, and BoringSSL's `RSA_check_key`.
"""

from typing import Final

from nightsafe.webcrypto.der.reader import SEQUENCE, DerError, DerReader
from nightsafe.webcrypto.material import RsaKey

_MIN_MODULUS_BITS: Final = 512
_MAX_MODULUS_BITS: Final = 16384
_MAX_EXPONENT_BITS: Final = 33


def read_public_key(reader: DerReader) -> RsaKey:
    """Read an `RSAPublicKey`.

    Raises:
        DerError: when the data is not an `RSAPublicKey`, or is out of BoringSSL's bounds.
    """
    body = reader.enter(SEQUENCE)
    modulus, exponent = body.take_unsigned(), body.take_unsigned()
    body.finish()
    return _checked_public(modulus, exponent)


def read_private_key(reader: DerReader) -> RsaKey:
    """Read an `RSAPrivateKey` of two primes.

    Raises:
        DerError: when the data is not such a structure, its numbers do not belong together, or they are out of
            BoringSSL's bounds.
    """
    body = reader.enter(SEQUENCE)
    if body.take_version() != 0:
        raise DerError
    n, e, d, p, q, d_p, d_q, q_inverse = (body.take_unsigned() for _ in range(8))
    body.finish()
    key = _checked_public(n, e)
    # Check the bounds first, because they keep the products below small.
    if d >= n or p >= n or q >= n or p * q != n:
        raise DerError
    if not (_inverse(d, e, p - 1) and _inverse(d, e, q - 1)):
        raise DerError
    if not (_reduced_inverse(d_p, e, p - 1) and _reduced_inverse(d_q, e, q - 1)):
        raise DerError
    if not _reduced_inverse(q_inverse, q, p):
        raise DerError
    return key


def _checked_public(modulus: int, exponent: int) -> RsaKey:
    """Return the key if BoringSSL would accept this modulus and exponent."""
    if not _MIN_MODULUS_BITS <= modulus.bit_length() <= _MAX_MODULUS_BITS or not modulus & 1:
        raise DerError
    if exponent <= 1 or exponent.bit_length() > _MAX_EXPONENT_BITS or not exponent & 1:
        raise DerError
    return RsaKey((modulus.bit_length() + 7) // 8, exponent)


def _inverse(a: int, b: int, modulus: int) -> bool:
    """Return True if a and b are inverses modulo `modulus`; no numbers are inverses modulo 0."""
    return modulus > 0 and a * b % modulus == 1


def _reduced_inverse(a: int, b: int, modulus: int) -> bool:
    """Return True if a is the inverse of b, and reduced."""
    return a < modulus and _inverse(a, b, modulus)
