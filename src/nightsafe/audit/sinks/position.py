"""The position of a sink: the last entry that it has accepted, in a file of the data directory."""

import fcntl
import os
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from nightsafe.errors import Code, NightsafeError

_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_PREFIX: Final = "audit-sink-"
_SIZE: Final = 128
_DIGITS: Final = 16


class Mark(Struct, frozen=True):
    """The number and the leaf hash (in hex) of an entry; 0 and "" before the first entry."""

    seq: int = 0
    leaf: str = ""


_marks = msgspec.json.Decoder(Mark)


def read_marks(data: Path) -> dict[Path, Mark]:
    """Return the position of each sink that a server of a data directory has ever had, by its file."""
    return {path: _mark_in(path.read_bytes()) for path in sorted(data.glob(f"{_PREFIX}*"))}


def _mark_in(content: bytes) -> Mark:
    """Return the position in a file. A damaged file means the beginning of the log, so that no entry is skipped."""
    try:
        return _marks.decode(content.rstrip(b"\0\n "))
    except msgspec.DecodeError:
        return Mark()


class Position:
    """The position of a sink. Open it before the process is confined, because it is opened only once.

    Args:
        data: the data directory.
        digest: the SHA-256 of the sink's URL, in hex.

    Raises:
        NightsafeError: INVALID, if the file cannot be opened.
    """

    def __init__(self, data: Path, digest: str) -> None:
        path = data / f"{_PREFIX}{digest[:_DIGITS]}"
        try:
            self._descriptor: Final = os.open(path, _FLAGS, 0o600)
            if os.fstat(self._descriptor).st_size != _SIZE:
                os.ftruncate(self._descriptor, _SIZE)
                os.fsync(self._descriptor)
        except OSError as error:
            raise NightsafeError(Code.INVALID, f"{path} cannot be opened: {error.strerror}") from None

    def try_lock(self) -> bool:
        """Lock the position until this process ends. Return False if another process has locked it."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def read(self) -> Mark:
        """Return the position."""
        return _mark_in(os.pread(self._descriptor, _SIZE, 0))

    def write(self, mark: Mark) -> None:
        """Store the position durably.

        Raises:
            OSError: if the disk fails.
        """
        content = msgspec.json.encode(mark).ljust(_SIZE - 1) + b"\n"
        os.pwrite(self._descriptor, content, 0)
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Close the file, which releases the lock."""
        os.close(self._descriptor)
