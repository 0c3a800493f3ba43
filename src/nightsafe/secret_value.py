"""The plaintext of a secret, on its short way from the request to the seal."""

from typing import NoReturn, Self


def wipe(buffer: bytearray) -> None:
    """Overwrite a buffer with zeros."""
    buffer[:] = bytes(len(buffer))


class SecretValue:
    """Bytes that do not show themselves: no `repr`, no `str`, no format, no pickle, no equality.

    Args:
        plaintext: the value. It is copied into a buffer of this object's own, which `wipe` overwrites.
    """

    __slots__ = ("_buffer",)

    def __init__(self, plaintext: bytes | bytearray | memoryview) -> None:
        self._buffer = bytearray(plaintext)

    @classmethod
    def of_text(cls, text: str) -> Self:
        """The UTF-8 of a text."""
        return cls(text.encode())

    def view(self) -> memoryview:
        """The plaintext itself, for a `with`: while it lasts the value cannot be wiped."""
        return memoryview(self._buffer)

    def reveal(self) -> bytes:
        """The plaintext itself. Only sealing and delivery call this."""
        return bytes(self._buffer)

    def wipe(self) -> None:
        """Overwrite the buffer with zeros and empty it."""
        wipe(self._buffer)
        self._buffer.clear()

    def __del__(self) -> None:
        """Wipe what a refused request leaves behind, wherever it was refused."""
        if hasattr(self, "_buffer"):
            self.wipe()

    def __len__(self) -> int:
        """Length in bytes."""
        return len(self._buffer)

    def __repr__(self) -> str:
        """The same words for every value."""
        return "SecretValue(hidden)"

    def __format__(self, spec: str, /) -> str:
        """The same words for every value and format."""
        return repr(self)

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied."""
        raise TypeError("a secret value cannot be pickled")
