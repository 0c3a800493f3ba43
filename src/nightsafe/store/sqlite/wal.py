"""The write-ahead log seen from outside: what it says of commits, and keeping it short.

The wal-index (the -shm file) starts with a header that every commit of every process rewrites:
https://www.sqlite.org/walformat.html#the_wal_index_header. Comparing its bytes costs a tenth of a
microsecond, where SQL would cost a system call or two.
"""

import mmap
import os
import sqlite3
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import ClassVar, Final

from nightsafe.store.sqlite.in_thread import InThread

HEADER: Final = 48
"""Length of the first copy of the header, which is written last: its change tells of a whole commit."""

_FRAMES = slice(16, 20)
_TOO_LONG = 8


class WalIndex:
    """The wal-index of an open database, mapped for reading.

    POSIX drops a process's locks on a file when it closes any descriptor of it, SQLite's own included. So
    one mapping is shared by all stores of a database in this process, and closed with the last of them;
    each store closes its connections first.
    """

    _open: ClassVar[dict[tuple[int, int], "WalIndex"]] = {}
    _guard: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, key: tuple[int, int], descriptor: int) -> None:
        self._key = key
        self.users = 0
        self._descriptor = descriptor
        self.view = mmap.mmap(descriptor, HEADER * 2, access=mmap.ACCESS_READ)

    @classmethod
    def of(cls, database: Path) -> "WalIndex":
        """The mapping for a database to which a connection is open; `close` it once for each call."""
        path = Path(f"{database.resolve()}-shm")
        with cls._guard:
            status = path.stat()
            key = (status.st_dev, status.st_ino)
            index = cls._open.get(key) or cls(key, os.open(path, os.O_RDONLY))
            cls._open[key] = index
            index.users += 1
            return index

    def header(self) -> bytes:
        """The header: differs from an earlier one after a commit by any process."""
        return self.view[:HEADER]

    def frames(self) -> int:
        """How many pages the log holds."""
        return int.from_bytes(self.view[_FRAMES], sys.byteorder)

    def close(self) -> None:
        """Let go of the mapping; the last to do so closes it."""
        with self._guard:
            self.users -= 1
            if self.users == 0:
                del self._open[self._key]
                self.view.close()
                os.close(self._descriptor)


class LogKeeper:
    """Keeps the log short without holding writes up: copies the bulk in a thread of its own.

    SQLite starts the log over at the first commit after everything was copied into the database while no
    reader stands in the log. A thread beside a busy writer never sees that moment. So the thread copies
    what there is, and then the writer, between two transactions, copies the few pages that came since
    and makes the reader let go.

    Args:
        connect: opens the thread's connection.
        index: the log's index.
        release: makes the reader let go of its transaction.
        ended: called by the thread at its end.
        limit: pages in the log from which on it is cut; at eight times as many the writer waits for the thread.
    """

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        index: WalIndex,
        release: Callable[[], None],
        ended: Callable[[], None],
        limit: int,
    ) -> None:
        self._connect = connect
        self._index = index
        self._release = release
        self._ended = ended
        self._limit = limit
        self._wanted: SimpleQueue[bool] = SimpleQueue()
        self._idle = threading.Event()
        self._idle.set()
        self._copied = False
        self._thread = threading.Thread(target=self._run, name="nightsafe-checkpoint", daemon=True)
        self._thread.start()

    async def between(self, writer: sqlite3.Connection, in_thread: InThread) -> None:
        """Awaited by the writer between two transactions."""
        frames = self._index.frames()
        if frames < self._limit:
            return
        if not self._idle.is_set():
            if frames < self._limit * _TOO_LONG:
                return
            await in_thread(self._idle.wait)
        if self._copied:
            self._copied = False
            self._release()  # what it reads may not be copied over
            await in_thread(_copy_rest, writer)
            self._release()  # where it stands the log goes on
        else:
            self._idle.clear()
            self._wanted.put(True)

    def end(self) -> None:
        """Let the thread copy the whole log, empty it if no other process uses it, call `ended` and end."""
        self._wanted.put(False)

    def join(self) -> None:
        """Wait for the thread's end."""
        self._thread.join()

    def _run(self) -> None:
        """The thread: one bulk copy each time it is wanted. A failed one is tried again at the next."""
        while self._wanted.get():
            self._checkpoint("PASSIVE")
            self._copied = True
            self._idle.set()
        self._checkpoint("TRUNCATE")
        self._ended()

    def _checkpoint(self, mode: str) -> None:
        """One checkpoint in a connection of its own, opened for it: they are seconds apart."""
        with suppress(sqlite3.Error):
            db = self._connect()
            try:
                db.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
            finally:
                db.close()


def _copy_rest(writer: sqlite3.Connection) -> None:
    """Copy what came since the bulk: once no reader stands in the log, the next commit starts it over."""
    with suppress(sqlite3.Error):
        writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
