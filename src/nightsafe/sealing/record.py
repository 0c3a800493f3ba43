"""Packs and parses the byte layouts of a sealed value and of a stored record. Contains no cryptography."""

from typing import Final, Self

import msgspec

from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.padding import MAX_PADDED, STEP
from nightsafe.sealing.suite import SUITE_OF_NUMBER, TAG_SIZE, Suite

SEALED_MAGIC: Final = b"NSV\x01"
GROUPED_MAGIC: Final = b"NSV\x02"
RECORD_MAGIC: Final = b"NSR\x01"
VALUE_ID_SIZE: Final = 16
GROUP_ID_SIZE: Final = 16
GROUP_KEY_SIZE: Final = 32
_ED25519: Final = b"\x01"
_SEALED_HEAD: Final = 29
_RECORD_HEAD: Final = 77


def cannot_open() -> NightsafeError:
    """Return the single error for every failure to open."""
    return NightsafeError(Code.CANNOT_OPEN, "cannot open")


class SealedValue(msgspec.Struct, frozen=True):
    """The parsed fields of a sealed value: of version 1 without a group, of version 2 with one.

    Attributes:
        suite: the suite that sealed it.
        key_id: the id, in hex, of the key that it was sealed to.
        value_id: 16 random bytes.
        body: the ciphertext with its tag; in version 1, the encapsulated key precedes it.
        group: of version 2, the group id, the encapsulated key, and the group key's ciphertext with its tag; b"" in
            version 1.
    """

    suite: Suite
    key_id: str
    value_id: bytes
    body: bytes
    group: bytes = b""

    @property
    def group_id(self) -> bytes:
        """The 16 bytes that name its group; b"" in version 1."""
        return self.group[:GROUP_ID_SIZE]

    @property
    def padded_size(self) -> int:
        """The length in bytes of the padded value."""
        return len(self.body) - TAG_SIZE - (0 if self.group else self.suite.enc_size)

    def pack(self) -> bytes:
        """Return the bytes that `parse` reads."""
        magic = GROUPED_MAGIC if self.group else SEALED_MAGIC
        head = magic + bytes((self.suite.number,)) + bytes.fromhex(self.key_id)
        return head + self.value_id + self.group + self.body

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Parse a sealed value without authenticating it.

        Raises:
            NightsafeError: CANNOT_OPEN, when the layout is wrong.
        """
        suite = SUITE_OF_NUMBER.get(data[4]) if len(data) > _SEALED_HEAD else None
        if suite is None or not data.startswith((SEALED_MAGIC, GROUPED_MAGIC)):
            raise cannot_open()
        body = _SEALED_HEAD
        if data.startswith(GROUPED_MAGIC):
            body += GROUP_ID_SIZE + suite.enc_size + GROUP_KEY_SIZE + TAG_SIZE
        value = cls(suite, data[5:13].hex(), data[13:_SEALED_HEAD], data[body:], data[_SEALED_HEAD:body])
        if not STEP <= value.padded_size <= MAX_PADDED:
            raise cannot_open()
        return value


class Record(msgspec.Struct, frozen=True):
    """The parsed fields of a stored record.

    Attributes:
        signer_id: the id, in hex, of the key that signed it.
        signature: 64 bytes.
        sealed: the whole sealed value.
    """

    signer_id: str
    signature: bytes
    sealed: bytes

    def pack(self) -> bytes:
        """Return the bytes that `parse` reads."""
        return RECORD_MAGIC + _ED25519 + bytes.fromhex(self.signer_id) + self.signature + self.sealed

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Parse a record without authenticating it.

        Raises:
            NightsafeError: CANNOT_OPEN, when the layout is wrong.
        """
        if len(data) <= _RECORD_HEAD or not data.startswith(RECORD_MAGIC + _ED25519):
            raise cannot_open()
        return cls(data[5:13].hex(), data[13:_RECORD_HEAD], data[_RECORD_HEAD:])


def key_id_of(sealed: bytes) -> str:
    """Return the id of the key that a value is sealed to, without opening the value.

    Raises:
        NightsafeError: CANNOT_OPEN, when the bytes are not a sealed value.
    """
    return SealedValue.parse(sealed).key_id
