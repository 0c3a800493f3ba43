"""Keeping the write-ahead log short without holding writes up."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Final

import structlog

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.sqlite.engine.condition import LOG_HELD, PAGE_BYTES, Condition
from nightsafe.store.sqlite.engine.in_thread import InThread
from nightsafe.store.sqlite.engine.wal import WalIndex

_log = structlog.get_logger()

_SLOW: Final = 8
"""At so many times the limit each transaction waits a little for a copy that is under way."""

_PAUSE_SECONDS: Final = 0.02
_PATIENCE_SECONDS: Final = 10.0
_REST: Final = 1000
"""So few pages that the writer copies them itself: some milliseconds."""


class Checkpointer:
    """Copies the bulk of the log into the database in a thread of its own.

    SQLite starts the log over at the first commit after everything was copied into the database while no
    reader stands in the log. A thread beside a busy writer never sees that moment. So the thread copies
    what there is, and then the writer, between two transactions, copies the few pages that came since
    and makes the reader let go. What is more than a few pages is the thread's again.

    Another process that reads in one long transaction holds all of it up. Nobody here can end that; so from some
    length on writes are refused.

    Args:
        connect: opens the thread's connection.
        index: the log's index.
        release: makes the reader let go of its transaction.
        ended: called by the thread at its end.
        condition: is told when the log is held up.
        limit: pages in the log from which on it is cut.
        most: pages in the log from which on there are no further transactions.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what a copy has to do with
        self,
        connect: Callable[[], sqlite3.Connection],
        index: WalIndex,
        release: Callable[[], None],
        ended: Callable[[], None],
        condition: Condition,
        limit: int,
        most: int,
    ) -> None:
        self._connect = connect
        self._index = index
        self._release = release
        self._ended = ended
        self._condition = condition
        self._limit = limit
        self.most = most
        self._tried = 0
        self._wanted: SimpleQueue[bool] = SimpleQueue()
        self._idle = threading.Event()
        self._idle.set()
        self._thread = threading.Thread(target=self._run, name="nightsafe-checkpoint", daemon=True)

    def start(self) -> None:
        """Start the thread; RuntimeError when the system allows none."""
        self._thread.start()

    def header(self) -> bytes:
        """Differs once anything was committed."""
        return self._index.header()

    async def before(self, writer: sqlite3.Connection, in_thread: InThread) -> None:
        """Awaited by the writer before a transaction: refuses it when the log must not grow any more.

        Raises:
            NightsafeError: LOG_FULL.
        """
        if self._index.frames() < self.most:
            return
        if self._index.uncopied() > _REST:
            self._want()
        await in_thread(self._idle.wait, _PATIENCE_SECONDS)  # large changes may only have come faster than it copies
        if self._idle.is_set() and self._index.uncopied() <= _REST:
            self._release()
            if await in_thread(_started_over, writer):
                return
        raise NightsafeError(Code.LOG_FULL, self._words())

    async def after(self, writer: sqlite3.Connection, in_thread: InThread) -> None:
        """Awaited by the writer after one."""
        frames = self._index.frames()
        if frames < self._limit:
            self._tried = 0
            self._condition.over(LOG_HELD)
        elif not self._idle.is_set():
            if frames >= self._limit * _SLOW:
                await in_thread(self._idle.wait, _PAUSE_SECONDS)
        elif frames >= self._tried + self._limit // _SLOW:
            self._tried = frames
            if self._index.uncopied() > _REST:
                self._warn(frames)
                self._want()
                return
            self._release()  # what it reads may not be copied over
            await in_thread(_copy_rest, writer)
            self._release()  # where it stands the log goes on

    def end(self) -> None:
        """Let the thread copy the whole log, empty it if no other process uses it, call `ended` and end."""
        self._wanted.put(False)

    def join(self) -> None:
        """Wait for the thread's end."""
        self._thread.join()

    def _want(self) -> None:
        """Let the thread copy, unless it does."""
        if self._idle.is_set():
            self._idle.clear()
            self._wanted.put(True)

    def _warn(self, frames: int) -> None:
        """Say once that the log gets long although it is copied as far as it can be."""
        if frames >= self._limit * _SLOW:
            megabytes, held, most = (
                pages * PAGE_BYTES >> 20 for pages in (frames, self._index.uncopied(), self.most)
            )
            self._condition.trouble(
                LOG_HELD,
                f"the write-ahead log has {megabytes} MB, of which {held} MB cannot be copied into the database "
                f"while another process reads it in one long transaction; at {most} MB writes are refused",
            )

    def _words(self) -> str:
        """Why a transaction is refused."""
        megabytes = self._index.frames() * PAGE_BYTES >> 20
        return (
            f"the safe's write-ahead log has reached {megabytes} MB and cannot be started over while another process "
            "reads the database in one long transaction: nothing was changed; end that process, then send it again"
        )

    def _run(self) -> None:
        """The thread: one bulk copy each time it is wanted. A failed one is tried again at the next."""
        while self._wanted.get():
            self._checkpoint("PASSIVE")
            self._idle.set()
        self._checkpoint("TRUNCATE")
        self._ended()

    def _checkpoint(self, mode: str) -> None:
        """One checkpoint in a connection of its own, opened for it: they are seconds apart."""
        try:
            db = self._connect()
            try:
                db.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
            finally:
                db.close()
        except (sqlite3.Error, NightsafeError):
            return  # the writer's next transaction says what is wrong
        except Exception as error:  # noqa: BLE001  # without this thread the log would never be cut again
            _log.error("checkpoint.failed", error=type(error).__name__)


def _copy_rest(writer: sqlite3.Connection) -> None:
    """Copy what came since the bulk: once no reader stands in the log, the next commit starts it over."""
    with suppress(sqlite3.Error):
        writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()


def _started_over(writer: sqlite3.Connection) -> bool:
    """Copy the rest and cut the log to nothing; False when a reader stands in it."""
    with suppress(sqlite3.Error):
        return not writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    return False
