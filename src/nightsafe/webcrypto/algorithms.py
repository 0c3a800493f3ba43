"""Reads the `algorithm` of a binding in the same way as the runtime reads the argument of `importKey`."""

from dataclasses import dataclass
from typing import Final

from nightsafe.webcrypto.errors import KeyRefusedError, printable, support_error, type_error
from nightsafe.webcrypto.javascript import to_int32, to_string

_HASHES: Final = frozenset({"sha-1", "sha-256", "sha-384", "sha-512", "md5"})
_CURVES: Final = {"p-256": "P-256", "p-384": "P-384", "p-521": "P-521"}


@dataclass(frozen=True, slots=True)
class ImportAlgorithm:
    """The requested algorithm, in the caller's own spelling.

    Attributes:
        name: the algorithm's name.
        hash: the digest's name, if given.
        length: the key's length in bits, if given (HMAC only).
        named_curve: the curve's name, if given.
    """

    name: str
    hash: str | None = None
    length: int | None = None
    named_curve: str | None = None


def read_algorithm(value: object) -> ImportAlgorithm:
    """Read a bare name or an object of parameters, with the runtime's coercions in the runtime's order.

    Raises:
        KeyRefusedError: a `TypeError`, when a value cannot be coerced.
    """
    if value is None:
        raise _null_error("18ImportKeyAlgorithmE", "algorithm")
    if isinstance(value, list | tuple):
        # In JavaScript an array is also an object, without a name.
        value = {}
    if not isinstance(value, dict):
        return ImportAlgorithm(to_string(value, "algorithm"))
    return ImportAlgorithm(
        name=to_string(value["name"], "algorithm/name") if "name" in value else "undefined",
        hash=_read_hash(value["hash"]) if "hash" in value else None,
        length=to_int32(value["length"], "algorithm/length") if "length" in value else None,
        named_curve=to_string(value["namedCurve"], "algorithm/namedCurve") if "namedCurve" in value else None,
    )


def folded(name: str) -> str:
    """Return a name in the form that the runtime's tables compare: up to a NUL, with ASCII letters in lower case."""
    name = name.partition("\0")[0]
    return name.lower() if name.isascii() else name


def required_hash(algorithm: ImportAlgorithm) -> str:
    """Return the requested digest, in the caller's spelling.

    Raises:
        KeyRefusedError: when no digest is given.
    """
    return _required(algorithm.hash, "hash")


def check_hash(name: str) -> None:
    """Refuse a digest that the runtime does not have.

    Raises:
        KeyRefusedError: when the runtime does not have the digest.
    """
    if folded(name) not in _HASHES:
        raise support_error("Unrecognized or unimplemented digest algorithm requested.", "algorithm/hash")


def required_curve_name(algorithm: ImportAlgorithm) -> str:
    """Return the requested curve, in the caller's spelling.

    Raises:
        KeyRefusedError: when no curve is given.
    """
    return _required(algorithm.named_curve, "namedCurve")


def curve_for(name: str) -> str:
    """Return the normalised name of a NIST curve.

    Raises:
        KeyRefusedError: when the runtime does not have the curve.
    """
    curve = _CURVES.get(folded(name))
    if curve is None:
        raise support_error(
            f'Unrecognized or unimplemented EC curve "{printable(name)}" requested.', "algorithm/namedCurve"
        )
    return curve


def _required(parameter: str | None, name: str) -> str:
    """Return a parameter of the algorithm; raise KeyRefusedError if it is not given."""
    if parameter is None:
        raise type_error(f'Missing field "{name}" in "algorithm".', f"algorithm/{name}")
    return parameter


def _read_hash(value: object) -> str:
    """Read a digest, which is a name or an object with a name."""
    if value is None:
        raise _null_error("13HashAlgorithmE", "algorithm/hash")
    if isinstance(value, dict) and "name" in value:
        return to_string(value["name"], "algorithm/hash")
    if isinstance(value, dict | list | tuple):
        return "undefined"
    return to_string(value, "algorithm/hash")


def _null_error(mangled: str, field: str) -> KeyRefusedError:
    """Build the runtime's error for null in place of an object, which names the runtime's C++ type."""
    message = (
        f"Cannot initialize N7workerd3api12SubtleCrypto{mangled} with required members "
        "from an undefined or null value."
    )
    return type_error(message, field)
