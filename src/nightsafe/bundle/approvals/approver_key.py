"""An approver's own key."""

from typing import Final, Literal, Self

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nightsafe.bundle.approvals.approval import approver_id
from nightsafe.sealing.ed25519_file import Ed25519File
from nightsafe.sealing.rings import ring_file


class _File(msgspec.Struct, forbid_unknown_fields=True):
    """The whole file."""

    format: Literal["nightsafe-approver-key/1"]
    id: str
    private: bytes

    def __repr__(self) -> str:
        """Show only the id, never the private key."""
        return f"_File({self.id})"


class ApproverKey(Ed25519File):
    """An Ed25519 key that signs approvals.

    Args:
        key: the private key, kept loaded.
    """

    __slots__ = ("id", "public")

    def __init__(self, key: Ed25519PrivateKey) -> None:
        super().__init__(key)
        self.public: Final = key.public_key().public_bytes_raw()
        self.id: Final = approver_id(self.public)

    @classmethod
    def generate(cls) -> Self:
        """Make a new key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def decode(cls, data: bytes, source: str = "approver key") -> Self:
        """Read a key from a file's bytes.

        Raises:
            NightsafeError: INVALID, with the source and what is wrong, never with the key.
        """
        file = ring_file.decode(data, _File, source)
        key = cls(cls._private_key(file.private, source))
        ring_file.check_id(source, file.id, key.id)
        return key

    def encode(self) -> bytes:
        """Return the key as a file's bytes, in the clear."""
        return ring_file.encode(_File("nightsafe-approver-key/1", self.id, self._key.private_bytes_raw()))
