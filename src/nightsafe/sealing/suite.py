"""The cipher suites of keys, and their sizes. Contains no cryptography."""

from enum import StrEnum
from typing import Final

TAG_SIZE: Final = 16


class Suite(StrEnum):
    """A suite, by its name in ring files. All suites use HKDF-SHA256 and AES-256-GCM."""

    X25519 = "x25519"
    HYBRID = "mlkem768-x25519"

    @property
    def number(self) -> int:
        """The suite's id in a sealed value."""
        return _NUMBERS[self]

    @property
    def enc_size(self) -> int:
        """Length in bytes of the encapsulated key."""
        return _ENC_SIZES[self]


_NUMBERS: Final = {Suite.X25519: 1, Suite.HYBRID: 2}
_ENC_SIZES: Final = {Suite.X25519: 32, Suite.HYBRID: 1120}
SUITE_OF_NUMBER: Final = {number: suite for suite, number in _NUMBERS.items()}
