"""One connection for reads on the event loop's thread, with a held transaction."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from nightsafe.store.sqlite.engine.connection import closed_error, store_error
from nightsafe.store.sqlite.engine.wal import HEADER, WalIndex

_IDLE = 1.0
_NEVER = b""

T = TypeVar("T")


class Reader:
    """Reads within a transaction that is renewed only after a commit, by whichever process.

    A held transaction saves the lock calls of each statement. It must not be held for ever: it would keep
    the log from being started over. So it ends when this process commits, and within a second when
    another does.

    Args:
        connect: opens a connection; called again after an engine failure.
        index: the wal-index that tells of commits.
        loop: the loop on whose thread this object is used.
    """

    def __init__(
        self, connect: Callable[[], sqlite3.Connection], index: WalIndex, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._connect = connect
        self._index = index
        self._loop = loop
        self._view: Any = index.view
        self._seen: bytes | None = _NEVER
        self._db: sqlite3.Connection | None = None
        self._cursor: sqlite3.Cursor = None  # type: ignore[assignment]  # the first read opens it
        self._timer: asyncio.TimerHandle | None = None

    def one(self, sql: str, parameters: tuple[object, ...] = ()) -> Any:
        """The only row, or None. This is the hot path: one comparison, one statement."""
        try:
            if self._view[:HEADER] != self._seen:
                self._renew()
            return self._cursor.execute(sql, parameters).fetchone()
        except sqlite3.Error as error:
            self._drop()
            raise store_error(error) from error

    def all(self, sql: str, parameters: tuple[object, ...] = ()) -> list[Any]:
        """Every row."""
        try:
            if self._view[:HEADER] != self._seen:
                self._renew()
            return self._cursor.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            self._drop()
            raise store_error(error) from error

    def within(self, work: Callable[[sqlite3.Cursor], T]) -> T:
        """What some work gives that reads several times, all as of one moment."""
        try:
            if self._view[:HEADER] != self._seen:
                self._renew()
            return work(self._cursor)
        except sqlite3.Error as error:
            self._drop()
            raise store_error(error) from error

    def generation(self) -> bytes:
        """The header that the next read will be of."""
        if self._seen is None:
            raise closed_error()
        return self._index.header()

    def release(self) -> None:
        """Let go of the transaction; the next read begins a new one."""
        if self._db is None or not self._db.in_transaction:
            return
        self._seen = _NEVER
        try:
            self._db.execute("COMMIT")
        except sqlite3.Error:
            self._drop()

    def close(self) -> None:
        """Close the connection; every later read is refused."""
        self._drop()
        self._seen, self._view = None, _NEVER
        if self._timer is not None:
            self._timer.cancel()

    def _renew(self) -> None:
        """Begin a transaction. The header is taken first: a commit in between is seen as one to come."""
        if self._seen is None:
            raise closed_error()
        self.release()
        if self._db is None:
            self._db = self._connect()
            self._cursor = self._db.cursor()
        seen = self._index.header()
        self._cursor.execute("BEGIN")
        self._seen = seen
        if self._timer is None:
            self._timer = self._loop.call_later(_IDLE, self._watch)

    def _watch(self) -> None:
        """Let go of a transaction that no read has renewed since another process committed."""
        self._timer = None
        if self._seen != self._index.header():
            self.release()
        if self._db is not None and self._db.in_transaction:
            self._timer = self._loop.call_later(_IDLE, self._watch)

    def _drop(self) -> None:
        """Forget a connection that failed; the next read opens another."""
        self._seen = _NEVER
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
            self._db = None
