"""One import: everything that was asked for, in the form the checks want."""

from dataclasses import dataclass

from nightsafe.webcrypto.algorithms import ImportAlgorithm
from nightsafe.webcrypto.errors import KeyRefusedError, support_error
from nightsafe.webcrypto.jwk import JsonWebKey


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What to import.

    Attributes:
        name: the algorithm's normalised name.
        algorithm: the algorithm in the caller's spelling.
        format: "raw", "pkcs8", "spki" or "jwk".
        usages: what the key shall be used for.
        material: the bytes of the key, or the key itself where the format is "jwk".
    """

    name: str
    algorithm: ImportAlgorithm
    format: str
    usages: tuple[str, ...]
    material: bytes | JsonWebKey


def format_error(request: ImportRequest) -> KeyRefusedError:
    """The algorithm does not have this format."""
    return support_error(f'Unrecognized key import format "{request.format}".', "format")
