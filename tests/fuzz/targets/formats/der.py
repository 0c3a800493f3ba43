"""Keys in DER: OpenSSL takes each key that is taken. The first byte says which half of a pair the rest is."""

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key

from nightsafe.webcrypto.der import containers
from nightsafe.webcrypto.der.reader import DerError
from nightsafe.webcrypto.material import EcKey, Key, OkpKey

_MAX = 6000


def check(data: bytes) -> None:
    """Check that a key that is taken whole has the curve that `cryptography` finds in it."""
    half, encoded = data[:1], data[1:_MAX]
    read = containers.read_public_key if half == b"p" else containers.read_private_key
    try:
        key, left = read(encoded)
    except DerError:
        return
    assert 0 <= left < len(encoded)
    if left or not isinstance(key, EcKey | OkpKey):
        return
    _compare(key, encoded, public=half == b"p")


def _compare(key: Key, encoded: bytes, *, public: bool) -> None:
    """Check that the curves are equal, if the library knows the structure; it knows fewer than the runtime does."""
    try:
        theirs = load_der_public_key(encoded) if public else load_der_private_key(encoded, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return
    name = getattr(getattr(theirs, "curve", None), "name", type(theirs).__name__)
    ours = key.curve if isinstance(key, EcKey | OkpKey) else ""
    assert ours.replace("P-", "").lower() in name.lower()
