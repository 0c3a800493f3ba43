"""The facts that a parser reads about a key: only those that the checks need, and no part of the secret itself."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RsaKey:
    """An RSA key.

    Attributes:
        modulus_bytes: the size of the modulus in bytes.
        exponent: the public exponent.
    """

    modulus_bytes: int
    exponent: int


@dataclass(frozen=True, slots=True)
class EcKey:
    """A key of a NIST curve.

    Attributes:
        curve: the curve's name, as in `namedCurve`.
    """

    curve: str


@dataclass(frozen=True, slots=True)
class OkpKey:
    """A key of an Edwards or Montgomery curve.

    Attributes:
        curve: "Ed25519" or "X25519".
    """

    curve: str


@dataclass(frozen=True, slots=True)
class DsaKey:
    """A DSA key: no algorithm accepts it, but the runtime reads it before it refuses it."""


Key = RsaKey | EcKey | OkpKey | DsaKey
