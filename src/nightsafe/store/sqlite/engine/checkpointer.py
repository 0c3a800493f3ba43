"""Keeps the write-ahead log short without delaying writes."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Final

import structlog

from nightsafe.errors import AGAIN, Code, NightsafeError
from nightsafe.store.sqlite.engine.condition import LOG_HELD, PAGE_BYTES, Condition
from nightsafe.store.sqlite.engine.in_thread import InThread
from nightsafe.store.sqlite.engine.wal import WalIndex

_log = structlog.get_logger()

_LONG_FACTOR: Final = 8
"""At this multiple of the limit, each transaction waits briefly for a copy in progress."""

_STUCK_FACTOR: Final = 2
"""At this multiple of the limit, the writer itself restarts the log: another process's reads kept commits from it."""

_READERS_MILLISECONDS: Final = 100
_PAUSE_SECONDS: Final = 0.02
_PATIENCE_SECONDS: Final = 10.0
_MAX_WRITER_PAGES: Final = 1000
"""The number of pages up to which the writer copies them itself, in a few milliseconds."""


class Checkpointer:
    """Copies most of the log into the database in its own thread.

    SQLite restarts the log at the first commit after the whole log was copied into the database while no reader uses
    the log. Beside a busy writer, a thread never finds that moment. So the thread copies the current log. Then the
    writer, between two transactions, copies the few pages that were added since, and makes the reader end its
    transaction. If more than a few pages were added, the thread copies again.

    Beside the reads of another process, the next commit may not find that moment. Then the writer waits for it.

    Another process that reads in one long transaction blocks all this. Nightsafe cannot end that transaction, so it
    refuses writes when the log reaches a maximum length.

    Args:
        connect: opens the thread's connection.
        index: the log's index.
        release: makes the reader end its transaction.
        ended: called by the thread at its end.
        condition: notified when the copy is blocked.
        limit: the log length, in pages, from which the log is cut.
        max_pages: the log length, in pages, from which transactions are refused.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what a copy has to do with
        self,
        connect: Callable[[], sqlite3.Connection],
        index: WalIndex,
        release: Callable[[], None],
        ended: Callable[[], None],
        condition: Condition,
        limit: int,
        max_pages: int,
    ) -> None:
        self._connect = connect
        self._index = index
        self._release = release
        self._ended = ended
        self._condition = condition
        self._limit = limit
        self.max_pages = max_pages
        self._tried = 0
        self._requests: SimpleQueue[bool] = SimpleQueue()
        self._idle = threading.Event()
        self._idle.set()
        self._thread = threading.Thread(target=self._run, name="nightsafe-checkpoint", daemon=True)

    def start(self) -> None:
        """Start the thread; raise RuntimeError if the system does not allow it."""
        self._thread.start()

    def header(self) -> bytes:
        """Return the wal-index header, which differs after any commit."""
        return self._index.header()

    def enter_line(self) -> bool:
        """Become the next process to write; return False if another process is next already."""
        return self._index.enter_line()

    def leave_line(self) -> None:
        """Let another process be next."""
        self._index.leave_line()

    async def before(self, writer: sqlite3.Connection, in_thread: InThread) -> None:
        """Refuse the writer's next transaction if the log must not grow; the writer awaits this before each one.

        Raises:
            NightsafeError: LOG_FULL, when the log has reached its maximum length and cannot be restarted.
        """
        if self._index.frames() < self.max_pages:
            return
        if self._index.uncopied() > _MAX_WRITER_PAGES:
            self._request_copy()
        await in_thread(self._idle.wait, _PATIENCE_SECONDS)  # large changes may just have come faster than the copy
        if self._idle.is_set() and self._index.uncopied() <= _MAX_WRITER_PAGES:
            self._release()
            if await in_thread(_restart_log, writer):
                return
        raise NightsafeError(Code.LOG_FULL, self._log_full_message())

    async def after(self, writer: sqlite3.Connection, in_thread: InThread) -> None:
        """Start or finish a copy if the log is long; the writer awaits this after each transaction."""
        frames = self._index.frames()
        if frames < self._limit:
            self._tried = 0
            self._condition.end_trouble(LOG_HELD)
        elif not self._idle.is_set():
            if frames >= self._limit * _LONG_FACTOR:
                await in_thread(self._idle.wait, _PAUSE_SECONDS)
        elif frames >= self._tried + self._limit // _LONG_FACTOR:
            self._tried = frames
            if self._index.uncopied() > _MAX_WRITER_PAGES:
                self._warn(frames)
                self._request_copy()
                return
            self._release()  # pages after the reader's snapshot cannot be copied
            await in_thread(_restart_beside_readers if frames >= self._limit * _STUCK_FACTOR else _copy_rest, writer)
            self._release()  # a reader in the log would keep it from restarting

    def end(self) -> None:
        """Let the thread copy the whole log, empty it if no other process uses it, call `ended`, and end."""
        self._requests.put(False)

    def join(self) -> None:
        """Wait for the thread to end."""
        self._thread.join()

    def _request_copy(self) -> None:
        """Let the thread copy, unless it is copying already."""
        if self._idle.is_set():
            self._idle.clear()
            self._requests.put(True)

    def _warn(self, frames: int) -> None:
        """Log once that the log grows long although it has been copied as far as possible."""
        if frames >= self._limit * _LONG_FACTOR:
            megabytes, held, max_megabytes = (
                pages * PAGE_BYTES >> 20 for pages in (frames, self._index.uncopied(), self.max_pages)
            )
            self._condition.begin_trouble(
                LOG_HELD,
                f"the write-ahead log is {megabytes} MB long; {held} MB of it cannot be copied into the database "
                f"while another process reads it in one long transaction; at {max_megabytes} MB, writes are refused",
            )

    def _log_full_message(self) -> str:
        """Say why a transaction is refused."""
        megabytes = self._index.frames() * PAGE_BYTES >> 20
        return (
            f"the safe's write-ahead log has reached {megabytes} MB and cannot be restarted while another process "
            f"reads the database in one long transaction: nothing was changed; end that process, then {AGAIN}"
        )

    def _run(self) -> None:
        """Run the thread: copy whenever the writer wants a copy. The next request also retries a failed copy."""
        while self._requests.get():
            self._checkpoint("PASSIVE")
            self._idle.set()
        self._checkpoint("TRUNCATE")
        self._ended()

    def _checkpoint(self, mode: str) -> None:
        """Run one checkpoint in a new connection; checkpoints are seconds apart."""
        try:
            db = self._connect()
            try:
                db.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
            finally:
                db.close()
        except (sqlite3.Error, NightsafeError):
            return  # the writer's next transaction reports the problem
        except Exception as error:  # noqa: BLE001  # without this thread, the log would never be cut again
            _log.error("checkpoint.failed", error=type(error).__name__)


def _copy_rest(writer: sqlite3.Connection) -> None:
    """Copy the pages added since the thread's copy; the next commit restarts the log when no reader uses it."""
    with suppress(sqlite3.Error):
        writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()


def _restart_beside_readers(writer: sqlite3.Connection) -> None:
    """Copy the rest and restart the log as soon as the readers of all processes have ended their transactions.

    While the log is long, each process of Nightsafe ends its transactions after a few milliseconds.
    """
    with suppress(sqlite3.Error):
        writer.execute(f"PRAGMA busy_timeout = {_READERS_MILLISECONDS}")
        writer.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
    with suppress(sqlite3.Error):
        writer.execute("PRAGMA busy_timeout = 0")


def _restart_log(writer: sqlite3.Connection) -> bool:
    """Copy the rest and truncate the log; return False if a reader uses the log."""
    with suppress(sqlite3.Error):
        return not writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    return False
