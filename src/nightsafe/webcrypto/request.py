"""One import request, in the form that the checks use."""

from dataclasses import dataclass

from nightsafe.webcrypto.algorithms import ImportAlgorithm
from nightsafe.webcrypto.errors import KeyRefusedError, support_error
from nightsafe.webcrypto.jwk import JsonWebKey


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """A request to import a key.

    Attributes:
        name: the algorithm's normalised name.
        algorithm: the algorithm in the caller's spelling.
        format: "raw", "pkcs8", "spki" or "jwk".
        usages: the requested usages of the key.
        material: the bytes of the key, or the JSON Web Key when the format is "jwk".
    """

    name: str
    algorithm: ImportAlgorithm
    format: str
    usages: tuple[str, ...]
    material: bytes | JsonWebKey


def format_error(request: ImportRequest) -> KeyRefusedError:
    """Build the runtime's error for a format that the algorithm does not have."""
    return support_error(f'Unrecognized key import format "{request.format}".', "format")
