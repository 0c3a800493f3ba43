"""The only writer, which puts all waiting changes into one transaction with one fsync.

Statements run on the event loop's thread, a slice at a time. Only work that waits for the disk or for another
process, and the few changes that take long by themselves, run in a thread. A writer thread for all work would cost
more than the statements themselves: sealing holds the interpreter lock for 0.2 ms for each value, and SQLite releases
and takes the lock at every step.

Every waiting caller gets an answer, even after an exception: the task ends, and another task continues its work.
"""

import asyncio
import sqlite3
import traceback
from asyncio import Future
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, Protocol, TypeVar

import structlog

from nightsafe.errors import NightsafeError
from nightsafe.sealing.identity_key import IdentityKey
from nightsafe.sealing.interfaces import NoteSigner
from nightsafe.store.changes import Change, Outcome
from nightsafe.store.rules.group_log import GroupLog
from nightsafe.store.sqlite.engine.condition import Condition
from nightsafe.store.sqlite.engine.database_files import DatabaseFiles
from nightsafe.store.sqlite.engine.in_thread import InThread
from nightsafe.store.sqlite.engine.write_batch import PendingChange, WriteBatch, overwrite, prove_room
from nightsafe.store.sqlite.engine.write_line import Places, WriteLine
from nightsafe.store.sqlite.writes.log_rows import LogRows, log_head
from nightsafe.store.sqlite.writes.removal import is_purge_pending, purge_part

_log = structlog.get_logger()

MAX_CHANGES: Final = 512
"""The maximum number of changes in one transaction."""

_SLICE: Final = 8
"""The number of changes to apply before other tasks of the loop run."""

_MAX_FAILURES: Final = 2
"""How often a task may fail on the same turn before the turn is given up."""

T = TypeVar("T")


class Log(Places, Protocol):
    """The parts of the write-ahead log that the writer uses."""

    def header(self) -> bytes:
        """Return the wal-index header, which differs after any commit."""
        ...

    async def before(self, writer: sqlite3.Connection, in_thread: InThread) -> None:
        """Prepare for a transaction; raise NightsafeError LOG_FULL if the log must not grow."""
        ...

    async def after(self, writer: sqlite3.Connection, in_thread: InThread) -> None:
        """Take care of the log after a transaction."""
        ...


class Writer:
    """Applies changes in order of arrival, on the event loop that created it.

    Args:
        connect: opens the writer's connection, which waits for no lock; called again after a failure.
        patience: seconds to wait, in the thread, for another process's write.
        committed: called after each transaction, before its callers are answered.
        log: the write-ahead log.
        files: checks that the files are still in their places.
        condition: notified of the result of each transaction.
        rescue: called in the thread when the files are no longer in their places.
        signer: signs the checkpoints of the audit log; None for a store that refuses every change.
        key: authenticates scripts; None for a store that was opened without it.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what a transaction has to do with
        self,
        connect: Callable[[], sqlite3.Connection],
        patience: float,
        committed: Callable[[], None],
        log: Log,
        files: DatabaseFiles,
        condition: Condition,
        rescue: Callable[[], None],
        signer: NoteSigner | None,
        key: IdentityKey | None,
    ) -> None:
        self._connect = connect
        self._line = WriteLine(log, patience)
        self._committed = committed
        self._wal = log
        self._files = files
        self._condition = condition
        self._rescue = rescue
        self._signer = signer
        self._key = key
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, "nightsafe-writer")
        self._waiting: deque[PendingChange] = deque()
        self._batch: WriteBatch | None = None
        self._task: asyncio.Task[None] | None = None
        self._db: sqlite3.Connection | None = None
        self._purge_pending = self._purging = False

    def start(self) -> None:
        """Start the thread now; otherwise the first write would start it and might then exceed a limit on threads.

        Raises:
            RuntimeError: when the system allows no further thread.
        """
        self._thread.submit(int).result()

    def abandon(self) -> None:
        """Abandon a thread that may not have started."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def submit(self, change: Change | None) -> "Future[Outcome]":
        """Queue a change, and return the future of its answer."""
        future: Future[Outcome] = self._loop.create_future()
        self._waiting.append((change, future))
        if self._task is None:
            self._begin_task()
        return future

    def purge(self) -> None:
        """Purge the rows that deletions have left, part by part, each part between two other transactions."""
        self._purge_pending = True
        if self._task is None:
            self._begin_task()

    async def end(self) -> None:
        """Finish the waiting changes and the purge, then close the connection."""
        while self._task is not None:
            await asyncio.wait([self._task])
        self._forget()
        self._thread.shutdown()

    def _begin_task(self) -> None:
        """Start a task that runs until nothing waits."""
        self._task = self._loop.create_task(self._run())
        self._task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        """Handle the end of a task. After a failed task, another finishes its turn and continues with the queue."""
        self._task = None
        error = None if task.cancelled() else task.exception()
        if task.cancelled() or error is not None:
            self._condition.writer_failures += 1
            _log.error("writer.failed", **_log_fields(error))
            self._give_up(error)
        if self._batch is not None or self._waiting:
            self._begin_task()

    def _give_up(self, error: BaseException | None) -> None:
        """Give up the turn if tasks have failed on it too often, and answer it with the known result."""
        batch = self._batch
        if batch is None:
            return
        batch.error = batch.error or error
        batch.failures += 1
        if batch.failures >= _MAX_FAILURES:
            self._batch = None
            batch.answer_all()
            db, self._db = self._db, None
            with suppress(RuntimeError):  # the thread has ended
                self._thread.submit(_close, db)  # after the thread's other work with this connection

    async def _run(self) -> None:
        """Finish another task's unfinished turn, then run one transaction after another while changes wait."""
        if self._batch is not None:
            await self._finish(self._batch)
        if self._purging:
            await self._in_thread(self._roll_back)  # after the thread's work for a task that has ended
            self._purging = False
        keep_purging = True
        while self._waiting or (self._purge_pending and keep_purging):
            if self._waiting:
                batch = WriteBatch([self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_CHANGES))])
                self._batch = batch
                await self._run_transaction(batch)
                await self._finish(batch)
                self._purge_pending = self._purge_pending or (batch.committed and batch.removes)
            keep_purging = not self._purge_pending or await self._purge_part()
            if self._db is not None:
                await self._wal.after(self._db, self._in_thread)

    async def _purge_part(self) -> bool:
        """Purge a part of the rows that deletions have left; return False if this failed.

        A failed purge waits for the next change.
        """
        try:
            self._files.check()
            if self._db is None:
                self._db = await self._in_thread(self._connect)
            await self._wal.before(self._db, self._in_thread)
            self._purging = True
            self._purge_pending = await self._in_thread(self._purge, self._db)
            self._purging = False
        except Exception as error:  # noqa: BLE001  # the writer continues after every error
            _log.error("purge.failed", **_log_fields(error))
            return False
        self._committed()
        return True

    def _purge(self, db: sqlite3.Connection) -> bool:
        """In the thread, purge in one transaction; return True if there may be more to purge."""
        if not is_purge_pending(db):
            return False
        cursor = db.cursor()
        self._line.begin(cursor)
        try:
            purge_part(cursor)
            cursor.execute("COMMIT")
        finally:
            self._roll_back()
        return True

    async def _run_transaction(self, batch: WriteBatch) -> None:
        """Run one transaction, and note any failure."""
        try:
            if not self._files.are_in_place():
                await self._in_thread(self._rescue)
                self._files.check()
            if self._db is None:
                self._db = await self._in_thread(self._connect)
            db = self._db
            await self._wal.before(db, self._in_thread)
            if batch.probes:
                await self._in_thread(prove_room, db)
            cursor = await self._begin(db)
            log = GroupLog(log_head(cursor), self._signer, self._key)
            while len(batch.answers) < len(batch.batch):
                if batch.is_heavy:
                    await self._in_thread(batch.attempt, cursor, log)
                else:
                    batch.attempt(cursor, log)
                if len(batch.answers) % _SLICE == 0:
                    await asyncio.sleep(0)
            log.finish(LogRows(cursor))
            await self._in_thread(batch.commit, cursor, self._wal.header)
        except Exception as error:  # noqa: BLE001  # the writer continues, and the callers get the error
            batch.error = batch.error or error
            if not isinstance(error, sqlite3.Error | NightsafeError):
                _log.error("writer.failed", **_log_fields(error))

    async def _finish(self, batch: WriteBatch) -> None:
        """Answer a turn in every case."""
        if not batch.committed:
            await self._in_thread(self._undo, batch)  # the thread may have been about to commit the turn
        if batch.committed and not self._files.are_in_place():
            batch.files_lost_error = self._files.files_lost_error()
        self._record_result(batch)
        self._committed()
        self._batch = None
        batch.answer_all()

    def _record_result(self, batch: WriteBatch) -> None:
        """Note the result of a turn in the store's condition."""
        refusal = batch.refusal()
        if refusal is None:
            self._condition.committed()
        else:
            self._condition.failed(refusal)

    def _undo(self, batch: WriteBatch) -> None:
        """In the thread, end a failed transaction and overwrite any traces of its COMMIT in the log."""
        if batch.committed:
            return
        self._roll_back()
        if not batch.left_traces:
            return
        try:
            if self._db is None:
                self._db = self._connect()
            overwrite(self._db)
        except (sqlite3.Error, NightsafeError):
            self._roll_back()
            batch.mark_undone(surely=False)
        else:
            batch.mark_undone(surely=True)

    async def _begin(self, db: sqlite3.Connection) -> sqlite3.Cursor:
        """Begin a transaction, at once or, if another process is writing or is next to write, in the thread."""
        cursor = db.cursor()
        if not self._line.try_to_begin(cursor):
            await self._in_thread(self._line.begin, cursor)
        return cursor

    async def _in_thread(self, call: Callable[..., T], *arguments: object) -> T:
        """Run a call that may wait for the disk or a lock."""
        return await self._loop.run_in_executor(self._thread, call, *arguments)

    def _roll_back(self) -> None:
        """Roll back a failed transaction; close the connection if the rollback fails."""
        if self._db is None:
            return
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error:
            self._forget()

    def _forget(self) -> None:
        """Close the connection, which ends its transaction."""
        _close(self._db)
        self._db = None


def _close(db: sqlite3.Connection | None) -> None:
    """Close a connection, which ends its transaction."""
    if db is not None:
        with suppress(sqlite3.Error):
            db.close()


def _log_fields(error: BaseException | None) -> dict[str, object]:
    """Return an error's log fields: its type and traceback lines, but no message, which might contain a value."""
    if error is None:
        return {"error": "cancelled"}
    lines = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    return {"error": type(error).__name__, "lines": lines}
