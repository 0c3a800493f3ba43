"""Detects commits, reads the length of the write-ahead log, and keeps the line of waiting writers, without SQL.

The wal-index (the -shm file) starts with a header that every commit of every process rewrites:
https://www.sqlite.org/walformat.html#the_wal_index_header. Comparing its bytes costs a tenth of a
microsecond, while SQL would cost a system call or two.
"""

import fcntl
import mmap
import os
import sys
import threading
from pathlib import Path
from typing import ClassVar, Final

HEADER: Final = 48
"""Length of the header's first copy. SQLite writes this copy last, so a change in it means a complete commit."""

_FRAMES = slice(16, 20)
_COPIED = slice(96, 100)
_LENGTH: Final = 100
_LINE: Final = 1 << 30
"""The byte that the next writer locks, far behind the bytes that SQLite locks in this file."""


class WalIndex:
    """The wal-index of an open database, mapped for reading.

    When a process closes any descriptor of a file, POSIX drops all of the process's locks on that file, including
    SQLite's. So all stores of a database in this process share one mapping, which the last of them closes. Each store
    closes its connections first.
    """

    _open: ClassVar[dict[tuple[int, int], "WalIndex"]] = {}
    _guard: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, key: tuple[int, int], descriptor: int) -> None:
        self._key = key
        self.users = 0
        self._descriptor = descriptor
        self.view = mmap.mmap(descriptor, _LENGTH, access=mmap.ACCESS_READ)

    @classmethod
    def of(cls, database: Path) -> "WalIndex":
        """Return the mapping for a database with an open connection; call `close` once for each call."""
        path = Path(f"{database.resolve()}-shm")
        with cls._guard:
            status = path.stat()
            key = (status.st_dev, status.st_ino)
            index = cls._open.get(key) or cls(key, os.open(path, os.O_RDWR | os.O_CLOEXEC))
            cls._open[key] = index
            index.users += 1
            return index

    def header(self) -> bytes:
        """Return the header, which differs from an earlier one after a commit by any process."""
        return self.view[:HEADER]

    def frames(self) -> int:
        """Return how many pages the log holds."""
        return int.from_bytes(self.view[_FRAMES], sys.byteorder)

    def uncopied(self) -> int:
        """Return how many pages of the log are not yet copied into the database."""
        return max(self.frames() - int.from_bytes(self.view[_COPIED], sys.byteorder), 0)

    def enter_line(self) -> bool:
        """Become the next process to write. Return False if another process is next already.

        Without this, a process that writes one transaction after the other would leave the others no moment: SQLite
        gives the lock of the database to the process that tries first. The kernel frees the place of a dead process.
        """
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _LINE)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def leave_line(self) -> None:
        """Let another process be next."""
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, _LINE)

    def close(self) -> None:
        """Release the mapping; the last user closes it."""
        with self._guard:
            self.users -= 1
            if self.users == 0:
                del self._open[self._key]
                self.view.close()
                os.close(self._descriptor)
