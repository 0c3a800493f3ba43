"""What a parser found out about a key: as much as the checks need, and no part of the secret itself."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RsaKey:
    """An RSA key.

    Attributes:
        modulus_bytes: the size of the modulus.
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
    """A DSA key: no algorithm takes it, but the runtime reads it before it says so."""


Key = RsaKey | EcKey | OkpKey | DsaKey
