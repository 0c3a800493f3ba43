"""A key or ring that has a file of its own."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Self

from nightsafe.sealing import files


class KeyFile(ABC):
    """The base of everything that is kept in a key file. Subclasses encode and decode the file's bytes.

    Attributes:
        is_private: True when the file holds a private key, so that no other user may have access to it. Otherwise
            other users may read it, but not write to it.
    """

    __slots__ = ()
    is_private: ClassVar[bool]

    @classmethod
    @abstractmethod
    def decode(cls, data: bytes, source: str) -> Self:
        """Read a file's bytes; `source` is the file's name in an error message.

        Raises:
            NightsafeError: INVALID, with the source and what is wrong, never with a private key.
        """

    @abstractmethod
    def encode(self) -> bytes:
        """Return a file's bytes, with private keys in the clear."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file that no other user can write to; a private one, that no other user can access.

        Raises:
            NightsafeError: INVALID, with the path and what is wrong, never with a private key.
        """
        return cls.decode(files.read(path, private=cls.is_private), str(path))

    def save(self, path: Path, *, replace: bool = False) -> None:
        """Write a file of mode 0600 if it is private, else of mode 0644; whole or not at all.

        Raises:
            NightsafeError: INVALID, when the file cannot be written, or exists and must not be replaced.
        """
        files.write(path, self.encode(), private=self.is_private, replace=replace)
