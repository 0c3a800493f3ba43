"""Checks that the files of an open database are still where they were opened.

A process can still write to an open file that was removed, moved or replaced, but these writes would be lost. So this
module compares each file's device and inode with the file at its path, which costs one system call for each of the
three files.
"""

import os
from pathlib import Path
from typing import Final

from nightsafe.errors import AGAIN, Code, NightsafeError

_Identity = tuple[int, int] | None


class DatabaseFiles:
    """The three files of a database with an open connection.

    Args:
        database: the database file's path.
    """

    def __init__(self, database: Path) -> None:
        real = database.resolve()
        self._names: Final = (str(database.absolute()), f"{real}-wal", f"{real}-shm")
        self._opened: Final = tuple(map(identity, self._names))

    def are_in_place(self) -> bool:
        """Return True if all three files are still in their places."""
        return tuple(map(identity, self._names)) == self._opened

    def has_lost_only_its_log(self) -> bool:
        """Return True if the database file is still in its place, but another file is not."""
        return identity(self._names[0]) == self._opened[0] and not self.are_in_place()

    def check_database(self, before: _Identity, path: Path) -> None:
        """Raise NightsafeError STORE if the path now holds another file than before."""
        if before != self._opened[0]:
            raise NightsafeError(Code.STORE, f"{path} was replaced while it was being opened: try again")

    def check(self) -> None:
        """Raise NightsafeError FILE_GONE, with the remedy, if a write would be lost."""
        if not self.are_in_place():
            raise NightsafeError(Code.FILE_GONE, f"{self._problem()}: nothing was changed; {self._advice()}")

    def files_lost_error(self) -> NightsafeError:
        """Build the error for a change that was committed to files that are no longer in their places."""
        return NightsafeError(
            Code.OUTCOME_UNKNOWN,
            f"{self._problem()}, and the change was written meanwhile: it is kept only if the files that were open "
            f"are put back; check before you {AGAIN}",
        )

    def _problem(self) -> str:
        """Say what is wrong, without a path, because any client may read the message."""
        for name, opened in zip(self._names, self._opened, strict=True):
            found = identity(name)
            if found is None:
                return f"the safe's {_file_kind(name)} is no longer where it was opened"
            if found != opened:
                return f"the safe's {_file_kind(name)} was replaced by another file while it was open"
        return "the safe's files were missing for a moment"

    def _advice(self) -> str:
        """Say what to do."""
        if self.has_lost_only_its_log():
            return "restart the server"
        return "put back the original file, or restart the server to serve the file that is there now"


def identity(name: str | Path) -> _Identity:
    """Return the device and inode of the file at a path; None if it is absent or cannot be reached."""
    try:
        status = os.stat(name)  # noqa: PTH116 - half the time of Path.stat
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _file_kind(name: str) -> str:
    """Name one of the three files."""
    return {"-wal": "write-ahead log", "-shm": "index of the write-ahead log"}.get(name[-4:], "database file")
