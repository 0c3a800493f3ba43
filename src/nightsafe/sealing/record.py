"""The byte layouts of a sealed value and of a stored record, both ways. No cryptography here."""

from typing import Final, Self

import msgspec

from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.padding import MAX_PADDED, STEP
from nightsafe.sealing.suite import SUITE_OF_NUMBER, TAG_SIZE, Suite

SEALED_MAGIC: Final = b"NSV\x01"
RECORD_MAGIC: Final = b"NSR\x01"
VALUE_ID_SIZE: Final = 16
_ED25519: Final = b"\x01"
_SEALED_HEAD: Final = 29
_RECORD_HEAD: Final = 77


def cannot_open() -> NightsafeError:
    """The one error for everything that does not open."""
    return NightsafeError(Code.CANNOT_OPEN, "cannot open")


class SealedValue(msgspec.Struct, frozen=True):
    """A sealed value, taken apart.

    Attributes:
        suite: what it was sealed with.
        key_id: the key it was sealed to, as hex.
        value_id: 16 random bytes.
        body: the encapsulated key, then the ciphertext with its tag.
    """

    suite: Suite
    key_id: str
    value_id: bytes
    body: bytes

    def pack(self) -> bytes:
        """The bytes `parse` reads."""
        head = SEALED_MAGIC + bytes((self.suite.number,)) + bytes.fromhex(self.key_id)
        return head + self.value_id + self.body

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Take a sealed value apart; nothing is proven by that.

        Raises:
            NightsafeError: CANNOT_OPEN, when the layout is wrong.
        """
        suite = SUITE_OF_NUMBER.get(data[4]) if len(data) > _SEALED_HEAD else None
        if suite is None or not data.startswith(SEALED_MAGIC):
            raise cannot_open()
        padded = len(data) - _SEALED_HEAD - suite.enc_size - TAG_SIZE
        if not STEP <= padded <= MAX_PADDED:
            raise cannot_open()
        return cls(suite, data[5:13].hex(), data[13:_SEALED_HEAD], data[_SEALED_HEAD:])


class Record(msgspec.Struct, frozen=True):
    """A stored record, taken apart.

    Attributes:
        signer_id: the key that signed it, as hex.
        signature: 64 bytes.
        sealed: the sealed value, whole.
    """

    signer_id: str
    signature: bytes
    sealed: bytes

    def pack(self) -> bytes:
        """The bytes `parse` reads."""
        return RECORD_MAGIC + _ED25519 + bytes.fromhex(self.signer_id) + self.signature + self.sealed

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Take a record apart; nothing is proven by that.

        Raises:
            NightsafeError: CANNOT_OPEN, when the layout is wrong.
        """
        if len(data) <= _RECORD_HEAD or not data.startswith(RECORD_MAGIC + _ED25519):
            raise cannot_open()
        return cls(data[5:13].hex(), data[13:_RECORD_HEAD], data[_RECORD_HEAD:])


def key_id_of(record: bytes) -> str:
    """The id of the key a stored record is sealed to, without opening or verifying it.

    Raises:
        NightsafeError: CANNOT_OPEN, when it is no record.
    """
    return SealedValue.parse(Record.parse(record).sealed).key_id
