"""The identity key, which authenticates the rows of tokens, users, memberships and accounts in the database."""

import secrets
from hmac import compare_digest, digest
from typing import Final, Literal, Self

import msgspec

from nightsafe.sealing.encoding import ID_SIZE, encode
from nightsafe.sealing.key_file import KeyFile
from nightsafe.sealing.rings import ring_file
from nightsafe.sealing.rings.ring_file import problem

_SIZE: Final = 32
_HASH: Final = "sha256"
_ID_TAG: Final = b"nightsafe-identity-key/1 id"


class _File(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The whole file."""

    format: Literal["nightsafe-identity-key/1"]
    id: str
    private: bytes
    states_older_rows: bool = False

    def __repr__(self) -> str:
        """Show only the id, never the key."""
        return f"_File({self.id})"


class IdentityKey(KeyFile):
    """A key for HMAC-SHA-256 (RFC 2104).

    Args:
        key: the 32 bytes of the key.
        states_older_rows: whether the safe is older than its transparency log and still has rows without a statement.
            Only then may such rows be stated as they are. The database itself cannot decide that.
    """

    __slots__ = ("_key", "id", "states_older_rows")
    is_private = True

    def __init__(self, key: bytes, *, states_older_rows: bool = False) -> None:
        self._key: Final = key
        self.states_older_rows: Final = states_older_rows
        self.id: Final = digest(key, encode(_ID_TAG), _HASH)[:ID_SIZE].hex()

    @classmethod
    def generate(cls, *, states_older_rows: bool = False) -> Self:
        """Make a new key."""
        return cls(secrets.token_bytes(_SIZE), states_older_rows=states_older_rows)

    def with_older_rows(self, *, accepted: bool) -> Self:
        """Return the same key for a safe that states older rows, or that states none any longer."""
        return type(self)(self._key, states_older_rows=accepted)

    def mac(self, message: bytes) -> bytes:
        """Return the 32 bytes of a message's MAC; the message begins with its own tag."""
        return digest(self._key, message, _HASH)

    def is_mac(self, message: bytes, mac: object) -> bool:
        """Return whether this is the message's MAC, in constant time; anything else than bytes is not."""
        return isinstance(mac, bytes) and compare_digest(self.mac(message), mac)

    @classmethod
    def decode(cls, data: bytes, source: str = "identity key") -> Self:
        """Read a key from a file's bytes.

        Raises:
            NightsafeError: INVALID, with the source and what is wrong, never with the key.
        """
        file = ring_file.decode(data, _File, source)
        if len(file.private) != _SIZE:
            raise problem(source, f"holds a key that is not {_SIZE} bytes long")
        key = cls(file.private, states_older_rows=file.states_older_rows)
        ring_file.check_id(source, file.id, key.id)
        return key

    def encode(self) -> bytes:
        """Return the key as a file's bytes, in the clear."""
        file = _File("nightsafe-identity-key/1", self.id, self._key, self.states_older_rows)
        return ring_file.encode(file)
