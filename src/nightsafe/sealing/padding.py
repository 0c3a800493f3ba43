"""Padding that hides a value's length: 64-byte steps up to 1 KiB, then Padmé.

Padmé: Nikitin and others, "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs" (2019).
"""

from typing import Final

from nightsafe.errors import Code, NightsafeError

MAX_VALUE: Final = 1 << 20
STEP: Final = 64
_STEPS_END: Final = 1024
_MARK: Final = b"\x80"


def padded_size(size: int) -> int:
    """Return the padded length, in bytes, of `size` bytes (the value and the mark)."""
    if size <= _STEPS_END:
        return -(-size // STEP) * STEP
    exponent = size.bit_length() - 1
    mask = (1 << (exponent - exponent.bit_length())) - 1
    return (size + mask) & ~mask


MAX_PADDED: Final = padded_size(MAX_VALUE + 1)


def pad(value: bytes | memoryview) -> bytearray:
    """Return the value, the mark 0x80 and zeros, in a buffer that the caller can wipe.

    Raises:
        NightsafeError: INVALID, when the value is over 1 MiB.
    """
    if len(value) > MAX_VALUE:
        raise NightsafeError(Code.INVALID, f"a value may have at most {MAX_VALUE} bytes")
    padded = bytearray(padded_size(len(value) + 1))
    padded[: len(value)] = value
    padded[len(value)] = _MARK[0]
    return padded


def unpad(padded: bytes) -> bytes:
    """Remove the padding, which must be exactly the padding that `pad` makes.

    Raises:
        NightsafeError: CANNOT_OPEN, when the padding is different.
    """
    marked = padded.rstrip(b"\x00")
    if not marked.endswith(_MARK) or padded_size(len(marked)) != len(padded):
        raise NightsafeError(Code.CANNOT_OPEN, "cannot open")
    return marked[:-1]
