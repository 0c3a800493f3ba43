"""The base of the files that hold one Ed25519 private key."""

from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nightsafe.sealing.key_file import KeyFile
from nightsafe.sealing.rings.ring_file import problem


class Ed25519File(KeyFile):
    """An Ed25519 key that has a file of its own.

    Args:
        key: the private key, kept loaded.
    """

    __slots__ = ("_key",)
    is_private = True

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key: Final = key

    def sign_message(self, message: bytes) -> bytes:
        """Sign a message that begins with its own tag; return the 64 bytes of the signature."""
        return self._key.sign(message)

    @staticmethod
    def _private_key(data: bytes, source: str) -> Ed25519PrivateKey:
        """Return the private key that a file holds.

        Raises:
            NightsafeError: INVALID, with the source.
        """
        try:
            return Ed25519PrivateKey.from_private_bytes(data)
        except ValueError:
            raise problem(source, "holds a private key that is not a usable Ed25519 key") from None
