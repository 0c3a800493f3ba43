"""Whether the files of an open database are still where they were opened.

A file that was removed, moved or replaced can be written to all the same: nobody would find that again. So its device
and inode are compared with what is at its path, which costs a system call for each of the three files.
"""

import os
from pathlib import Path
from typing import Final

from nightsafe.errors import Code, NightsafeError

_Identity = tuple[int, int] | None


class Place:
    """The three files of a database to which a connection is open.

    Args:
        database: its path.
    """

    def __init__(self, database: Path) -> None:
        real = database.resolve()
        self._names: Final = (str(database.absolute()), f"{real}-wal", f"{real}-shm")
        self._opened: Final = tuple(map(identity, self._names))

    def is_kept(self) -> bool:
        """Whether all are where they were."""
        return tuple(map(identity, self._names)) == self._opened

    def has_lost_only_its_log(self) -> bool:
        """Whether the database itself is where it was."""
        return identity(self._names[0]) == self._opened[0] and not self.is_kept()

    def check_database(self, before: _Identity, path: Path) -> None:
        """Refuse another file than the one that was found at the path earlier; NightsafeError STORE."""
        if before != self._opened[0]:
            raise NightsafeError(Code.STORE, f"{path} was replaced while it was being opened: try again")

    def check(self) -> None:
        """Refuse what would be lost; NightsafeError FILE_GONE, with what to do about it."""
        if not self.is_kept():
            raise NightsafeError(Code.FILE_GONE, f"{self._what()}: nothing was changed; {self._advice()}")

    def lost(self) -> NightsafeError:
        """What is said of a change that was committed to files that are not at their place any more."""
        return NightsafeError(
            Code.OUTCOME_UNKNOWN,
            f"{self._what()}, and this was written meanwhile: it is kept only if the files that were open are put "
            "back; look before you send it again",
        )

    def _what(self) -> str:
        """What is wrong, without a path: anybody may be told."""
        for name, opened in zip(self._names, self._opened, strict=True):
            found = identity(name)
            if found is None:
                return f"the safe's {_part(name)} is not where it was opened any more"
            if found != opened:
                return f"the safe's {_part(name)} was replaced by another file while it was open"
        return "the safe's files were away for a moment"

    def _advice(self) -> str:
        """What to do."""
        if self.has_lost_only_its_log():
            return "restart the server"
        return "put back the one that was opened, or restart the server to serve what is there now"


def identity(name: str | Path) -> _Identity:
    """Device and inode of the file at a path; None when there is none, or it cannot be reached."""
    try:
        status = os.stat(name)  # noqa: PTH116 - half the time of Path.stat
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _part(name: str) -> str:
    """Which of the files it is."""
    return {"-wal": "write-ahead log", "-shm": "index of the write-ahead log"}.get(name[-4:], "database file")
