"""The plaintext of a secret, held in memory between the request and its sealing."""

from typing import NoReturn, Self


def wipe(buffer: bytearray) -> None:
    """Overwrite a buffer with zeros."""
    buffer[:] = bytes(len(buffer))


class SecretValue:
    """Bytes that cannot be shown by accident: `repr`, `str` and `format` hide them, and pickling is refused.

    Two values never compare equal unless they are the same object.

    Args:
        plaintext: the value. It is copied into a buffer of this object, which `wipe` overwrites.
    """

    __slots__ = ("_buffer",)

    def __init__(self, plaintext: bytes | bytearray | memoryview) -> None:
        self._buffer = bytearray(plaintext)

    @classmethod
    def of_text(cls, text: str) -> Self:
        """Return a value that holds the UTF-8 encoding of a text."""
        return cls(text.encode())

    def view(self) -> memoryview:
        """Return a view of the plaintext for use in a `with`; the value cannot be wiped while the view is open."""
        return memoryview(self._buffer)

    def reveal(self) -> bytes:
        """Return a copy of the plaintext. Only sealing and delivery call this."""
        return bytes(self._buffer)

    def wipe(self) -> None:
        """Overwrite the buffer with zeros and empty it."""
        wipe(self._buffer)
        self._buffer.clear()

    def __del__(self) -> None:
        """Wipe the value, so that a refused request leaves none behind."""
        if hasattr(self, "_buffer"):
            self.wipe()

    def __len__(self) -> int:
        """Return the length in bytes."""
        return len(self._buffer)

    def __repr__(self) -> str:
        """Return the same text for every value."""
        return "SecretValue(hidden)"

    def __format__(self, spec: str, /) -> str:
        """Return the same text for every value and every format."""
        return repr(self)

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied."""
        raise TypeError("a secret value cannot be pickled")
