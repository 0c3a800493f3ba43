"""The line of the processes that want to write, so that each gets its turn.

SQLite gives its lock to the process that tries first. A process under load begins its next transaction as soon as the
last one has ended, so another process could try in vain until its patience is over. Therefore a process first becomes
the next one to write, and only then waits for SQLite's lock. The process that has just written finds the place taken.
"""

import sqlite3
import time
from typing import Final, Protocol

_SHARE: Final = 0.5
"""The share of its patience for which a process waits to be next. Then it tries out of turn: the next may hang."""

_PAUSE_SECONDS: Final = 0.001


class Places(Protocol):
    """The place of the next process to write."""

    def enter_line(self) -> bool:
        """Become the next process to write; return False if another process is next already."""
        ...

    def leave_line(self) -> None:
        """Let another process be next."""
        ...


class WriteLine:
    """Begins write transactions in turn with other processes.

    Args:
        places: the place of the next process.
        patience: seconds to wait for other processes' writes.
    """

    def __init__(self, places: Places, patience: float) -> None:
        self._places: Final = places
        self._patience: Final = patience

    def try_to_begin(self, cursor: sqlite3.Cursor) -> bool:
        """Begin unless another process writes or is next to write. Return whether the transaction began.

        Raises:
            sqlite3.OperationalError: when the engine fails.
        """
        if not self._places.enter_line():
            return False
        try:
            return _try_to_begin(cursor)
        finally:
            self._places.leave_line()

    def begin(self, cursor: sqlite3.Cursor) -> None:
        """In a thread, wait for this process's turn and begin.

        Raises:
            sqlite3.OperationalError: when the engine fails, or other processes have written for too long.
        """
        started = time.monotonic()
        while not (is_next := self._places.enter_line()):
            if time.monotonic() - started > self._patience * _SHARE:
                break
            time.sleep(_PAUSE_SECONDS)
        try:
            while not _try_to_begin(cursor, last=time.monotonic() - started > self._patience):
                time.sleep(_PAUSE_SECONDS)
        finally:
            if is_next:
                self._places.leave_line()


def _try_to_begin(cursor: sqlite3.Cursor, *, last: bool = False) -> bool:
    """Begin unless another process writes; return whether it began. The last attempt fails instead."""
    try:
        cursor.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if last or getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True
