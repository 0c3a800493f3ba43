"""The key of a witness."""

from typing import Final, Literal, Self

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nightsafe.merkle.verifier_key import COSIGNATURE, VerifierKey, is_key_name
from nightsafe.sealing.key_file import KeyFile
from nightsafe.sealing.rings import ring_file
from nightsafe.sealing.rings.ring_file import problem


class _File(msgspec.Struct, forbid_unknown_fields=True):
    """The whole file."""

    format: Literal["nightsafe-witness-key/1"]
    name: str
    private: bytes

    def __repr__(self) -> str:
        """Show only the name, never the private key."""
        return f"_File({self.name})"


class WitnessKey(KeyFile):
    """An Ed25519 key with the witness's name. It signs nothing but cosignatures.

    Args:
        name: the witness's name in its cosignatures, such as `witness.example/w1`.
        key: the private key, kept loaded.
    """

    __slots__ = ("_key", "verifier_key")
    is_private = True

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        self._key: Final = key
        self.verifier_key: Final = VerifierKey(name, COSIGNATURE, key.public_key().public_bytes_raw())

    @classmethod
    def generate(cls, name: str) -> Self:
        """Make a new key."""
        return cls(name, Ed25519PrivateKey.generate())

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of a signature of a cosignature's message."""
        return self._key.sign(message)

    @classmethod
    def decode(cls, data: bytes, source: str = "witness key") -> Self:
        """Read a key from a file's bytes.

        Raises:
            NightsafeError: INVALID, with the source and what is wrong, never with the key.
        """
        file = ring_file.decode(data, _File, source)
        if not is_key_name(file.name):
            raise problem(source, "has a name that signed notes cannot have: it has a space or a plus sign, or none")
        try:
            return cls(file.name, Ed25519PrivateKey.from_private_bytes(file.private))
        except ValueError:
            raise problem(source, "holds a private key that is not a usable Ed25519 key") from None

    def encode(self) -> bytes:
        """Return the key as a file's bytes, in the clear."""
        name = self.verifier_key.name
        return ring_file.encode(_File("nightsafe-witness-key/1", name, self._key.private_bytes_raw()))
