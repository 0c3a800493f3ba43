"""The connection for reads on the event loop's thread, with a transaction that stays open between reads."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from nightsafe.store.sqlite.engine.connection import closed_error, store_error
from nightsafe.store.sqlite.engine.wal import HEADER, WalIndex

_IDLE = 1.0
_BRIEF = 0.02
"""The idle time while the log is long: the writer of another process may be waiting to restart the log."""

_NEVER = b""

T = TypeVar("T")


class Reader:
    """Reads within a transaction that is renewed only after a commit by any process.

    An open transaction saves the lock calls of each statement. It must not stay open for ever, because it would keep
    the log from restarting. So it ends when this process commits, and within a second after another process commits.
    While the log is long, it ends after a few milliseconds.

    Args:
        connect: opens a connection; called again after an engine failure.
        index: the wal-index, which shows commits.
        loop: the event loop on whose thread this object is used.
        limit: the log length, in pages, from which the log is long.
    """

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        index: WalIndex,
        loop: asyncio.AbstractEventLoop,
        limit: int,
    ) -> None:
        self._connect = connect
        self._index = index
        self._loop = loop
        self._limit = limit
        self._view: Any = index.view
        self._seen: bytes | None = _NEVER
        self._db: sqlite3.Connection | None = None
        self._cursor: sqlite3.Cursor = None  # type: ignore[assignment]  # the first read opens it
        self._timer: asyncio.TimerHandle | None = None
        self._hurried = False

    def one(self, sql: str, parameters: tuple[object, ...] = ()) -> Any:
        """Return the only row, or None. This is the hot path: one comparison and one statement."""
        try:
            if self._view[:HEADER] != self._seen:
                self._renew()
            return self._cursor.execute(sql, parameters).fetchone()
        except sqlite3.Error as error:
            self._drop()
            raise store_error(error) from error

    def all(self, sql: str, parameters: tuple[object, ...] = ()) -> list[Any]:
        """Return every row."""
        try:
            if self._view[:HEADER] != self._seen:
                self._renew()
            return self._cursor.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            self._drop()
            raise store_error(error) from error

    def in_transaction(self, work: Callable[[sqlite3.Cursor], T]) -> T:
        """Return the result of work that makes several reads, all as of the same moment."""
        try:
            if self._view[:HEADER] != self._seen:
                self._renew()
            return work(self._cursor)
        except sqlite3.Error as error:
            self._drop()
            raise store_error(error) from error

    def generation(self) -> bytes:
        """Return the wal-index header that the next read will see."""
        if self._seen is None:
            raise closed_error()
        return self._index.header()

    def release(self) -> None:
        """End the transaction; the next read begins a new one."""
        if self._db is None or not self._db.in_transaction:
            return
        self._seen = _NEVER
        try:
            self._db.execute("COMMIT")
        except sqlite3.Error:
            self._drop()

    def close(self) -> None:
        """Close the connection, and refuse every later read."""
        self._drop()
        self._seen, self._view = None, _NEVER
        if self._timer is not None:
            self._timer.cancel()

    def _renew(self) -> None:
        """Begin a transaction. The header is read first, so a commit in between counts as a later one."""
        if self._seen is None:
            raise closed_error()
        self.release()
        if self._db is None:
            self._db = self._connect()
            self._cursor = self._db.cursor()
        seen = self._index.header()
        self._cursor.execute("BEGIN")
        self._seen = seen
        hurried = self._is_log_long()
        if self._timer is None or hurried > self._hurried:
            self._set_timer(_BRIEF if hurried else _IDLE)
            self._hurried = hurried

    def _watch(self) -> None:
        """End a transaction that another process's commit has outdated; end every one while the log is long."""
        self._timer = None
        if self._seen != self._index.header() or self._is_log_long():
            self.release()
        if self._db is not None and self._db.in_transaction:
            self._set_timer(_IDLE)
            self._hurried = False

    def _set_timer(self, seconds: float) -> None:
        """Look at the transaction after some seconds, and not when it was planned before."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._watch)

    def _is_log_long(self) -> bool:
        """Tell whether the log is so long that writers want to restart it."""
        return self._index.frames() >= self._limit

    def _drop(self) -> None:
        """Drop a failed connection; the next read opens another."""
        self._seen = _NEVER
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
            self._db = None
