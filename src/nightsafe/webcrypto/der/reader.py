"""A strict reader of DER that accepts the same as BoringSSL's `CBS`: definite, minimal lengths, and exact tags.

Source: ITU-T X.690, section 10, and BoringSSL's `crypto/bytestring/cbs.cc`.
"""

from typing import Final

INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OCTET_STRING: Final = 0x04
NULL: Final = 0x05
OBJECT_IDENTIFIER: Final = 0x06
SEQUENCE: Final = 0x30
CONTEXT_0: Final = 0xA0
CONTEXT_1: Final = 0xA1

_LONG_FORM: Final = 0x80
_MAX_LENGTH_BYTES: Final = 4
_HIGH_TAG: Final = 0x1F
_SIGN_BIT: Final = 0x80
_UINT64_BYTES: Final = 8


class DerError(Exception):
    """The bytes are not the expected structure. The error contains no part of the bytes."""


class DerReader:
    """Takes elements from the front of a byte string."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def remaining(self) -> int:
        """The number of bytes not yet taken."""
        return len(self._data) - self._at

    def peek(self, tag: int) -> bool:
        """Return True if the next element has this tag."""
        return self._data[self._at : self._at + 1] == bytes((tag,))

    def take(self, tag: int) -> bytes:
        """Take the next element and return its contents.

        Raises:
            DerError: when the element has another tag, or no valid length.
        """
        if not self.peek(tag):
            raise DerError
        return self._take_contents()

    def enter(self, tag: int) -> "DerReader":
        """Take the next element and return a reader of its contents.

        Raises:
            DerError: when the element has another tag, or no valid length.
        """
        return DerReader(self.take(tag))

    def take_unsigned(self) -> int:
        """Take the next element, a minimally encoded INTEGER that is not negative.

        Raises:
            DerError: when the element is anything else.
        """
        return _unsigned(self.take(INTEGER))

    def take_version(self) -> int:
        """Take the next element, an INTEGER that is not negative and fits 64 bits.

        Raises:
            DerError: when the element is anything else.
        """
        version = self.take_unsigned()
        if version >= 1 << (8 * _UINT64_BYTES):
            raise DerError
        return version

    def take_null(self) -> None:
        """Take the next element, a NULL.

        Raises:
            DerError: when the element is anything else.
        """
        if self.take(NULL):
            raise DerError

    def take_bit_string(self) -> bytes:
        """Take the next element, a BIT STRING of whole bytes, and return its bytes.

        Raises:
            DerError: when the element is anything else.
        """
        contents = self.take(BIT_STRING)
        if contents[:1] != b"\0":
            raise DerError
        return contents[1:]

    def finish(self) -> None:
        """Check that no bytes are left.

        Raises:
            DerError: when bytes are left.
        """
        if self.remaining:
            raise DerError

    def count_elements(self, at_most: int) -> int:
        """Take elements until none is left or more than `at_most` were taken, and return their number.

        Raises:
            DerError: when an element is malformed.
        """
        count = 0
        while self.remaining and count <= at_most:
            if self._data[self._at] & _HIGH_TAG == _HIGH_TAG:
                raise DerError
            self._take_contents()
            count += 1
        return count

    def _take_contents(self) -> bytes:
        """Skip a one-byte tag, read the length, and take that many bytes."""
        start, length = self._read_length(self._at + 1)
        end = start + length
        if end > len(self._data):
            raise DerError
        self._at = end
        return self._data[start:end]

    def _read_length(self, at: int) -> tuple[int, int]:
        """Return the start of the contents and their length in bytes."""
        if at >= len(self._data):
            raise DerError
        first = self._data[at]
        if first < _LONG_FORM:
            return at + 1, first
        size = first - _LONG_FORM
        encoded = self._data[at + 1 : at + 1 + size]
        length = int.from_bytes(encoded, "big")
        if not 1 <= size <= _MAX_LENGTH_BYTES or len(encoded) < size or length < _LONG_FORM or not encoded[0]:
            raise DerError
        return at + 1 + size, length


def _unsigned(contents: bytes) -> int:
    """Decode the contents of an INTEGER."""
    if not contents or contents[0] & _SIGN_BIT:
        raise DerError
    if len(contents) > 1 and not contents[0] and not contents[1] & _SIGN_BIT:
        raise DerError
    return int.from_bytes(contents, "big")
