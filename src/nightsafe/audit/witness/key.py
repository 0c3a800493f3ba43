"""The key of a witness."""

from typing import Final, Literal, Self

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nightsafe.merkle.verifier_key import COSIGNATURE, VerifierKey, is_key_name
from nightsafe.sealing.ed25519_file import Ed25519File
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


class WitnessKey(Ed25519File):
    """An Ed25519 key with the witness's name. It signs nothing but cosignatures.

    Args:
        name: the witness's name in its cosignatures, such as `witness.example/w1`.
        key: the private key, kept loaded.
    """

    __slots__ = ("verifier_key",)

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        super().__init__(key)
        self.verifier_key: Final = VerifierKey(name, COSIGNATURE, key.public_key().public_bytes_raw())

    @classmethod
    def generate(cls, name: str) -> Self:
        """Make a new key."""
        return cls(name, Ed25519PrivateKey.generate())

    @classmethod
    def decode(cls, data: bytes, source: str = "witness key") -> Self:
        """Read a key from a file's bytes.

        Raises:
            NightsafeError: INVALID, with the source and what is wrong, never with the key.
        """
        file = ring_file.decode(data, _File, source)
        if not is_key_name(file.name):
            raise problem(source, "has a name that signed notes cannot have: it has a space or a plus sign, or none")
        return cls(file.name, cls._private_key(file.private, source))

    def encode(self) -> bytes:
        """Return the key as a file's bytes, in the clear."""
        name = self.verifier_key.name
        return ring_file.encode(_File("nightsafe-witness-key/1", name, self._key.private_bytes_raw()))
