"""The checks common to every public and private key of every algorithm."""

from collections.abc import Callable
from dataclasses import dataclass

from nightsafe.webcrypto.der import containers
from nightsafe.webcrypto.der.reader import DerError
from nightsafe.webcrypto.errors import data_error
from nightsafe.webcrypto.jwk import JsonWebKey, check_asymmetric_use, refuse_multi_prime
from nightsafe.webcrypto.material import Key
from nightsafe.webcrypto.request import ImportRequest, format_error
from nightsafe.webcrypto.usages import check_private_usages, check_public_usages

ReadJwk = Callable[[JsonWebKey], Key]


@dataclass(frozen=True, slots=True)
class Imported:
    """A key that was read, and whether it is the private or the public half of its pair."""

    key: Key
    private: bool


def read_key(request: ImportRequest, allowed: frozenset[str], read_jwk: ReadJwk) -> Imported:
    """Read a key in any format except "raw", and check its usages at the same point as the runtime does.

    Args:
        request: what to import.
        allowed: the usages of both halves of the pair.
        read_jwk: reads a JSON Web Key of this algorithm.

    Raises:
        KeyRefusedError: when the runtime would not import the key.
    """
    if isinstance(request.material, JsonWebKey):
        return _read_jwk(request, request.material, allowed, read_jwk)
    if request.format == "pkcs8":
        key = _read_der(containers.read_private_key, request.material, "PKCS8")
        check_private_usages(request.name, request.usages, allowed)
        return Imported(key, private=True)
    if request.format == "spki":
        key = _read_der(containers.read_public_key, request.material, "SPKI")
        check_public_usages(request.name, request.usages, allowed)
        return Imported(key, private=False)
    raise format_error(request)


def _read_jwk(request: ImportRequest, jwk: JsonWebKey, allowed: frozenset[str], read_jwk: ReadJwk) -> Imported:
    """Read a JSON Web Key, which is private if it has a "d"."""
    private = jwk.get("d") is not None
    if private:
        check_private_usages(request.name, request.usages, allowed)
        refuse_multi_prime(jwk)
    else:
        check_public_usages(request.name, request.usages, allowed)
    check_asymmetric_use(jwk, request.name, request.usages)
    return Imported(read_jwk(jwk), private)


def _read_der(read: Callable[[bytes], tuple[Key, int]], data: bytes, label: str) -> Key:
    """Read a structure that must fill the whole data."""
    try:
        key, trailing = read(data)
    except DerError:
        raise data_error(f"Invalid {label} input.", "key_base64") from None
    if trailing:
        raise data_error(f"Invalid {trailing} trailing bytes after {label} input.", "key_base64")
    return key
