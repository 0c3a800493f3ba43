"""The one writer: takes all changes that wait into one transaction, and one fsync.

Statements run on the event loop's thread, a slice at a time; only what waits for the disk or for another process,
and the few changes that take long by themselves, run in a thread. A writer thread for everything costs more than the
statements themselves: sealing holds the interpreter lock for 0.2 ms a value, and SQLite gives it up and takes it back
at every step.

Whatever is thrown on the way, everyone who waits is answered: the task ends, another takes up what it left.
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
from nightsafe.store.changes import Change, Outcome
from nightsafe.store.sqlite.engine.condition import Condition
from nightsafe.store.sqlite.engine.in_thread import InThread
from nightsafe.store.sqlite.engine.place import Place
from nightsafe.store.sqlite.engine.turn import Turn, Waiting, overwrite, prove_room
from nightsafe.store.sqlite.writes.removal import is_owed, purge_part

_log = structlog.get_logger()

MOST: Final = 512
"""The most changes in one transaction."""

_SLICE: Final = 8
"""Changes after which other tasks of the loop have their turn."""

_MOST_FAILURES: Final = 2
"""How often a task may end over the same turn, before the turn is given up."""

T = TypeVar("T")


class Log(Protocol):
    """The write-ahead log, as the writer sees it."""

    def header(self) -> bytes:
        """Differs once anything was committed."""
        ...

    async def before(self, writer: sqlite3.Connection, in_thread: InThread) -> None:
        """Awaited before a transaction; NightsafeError LOG_FULL when there must be none."""
        ...

    async def after(self, writer: sqlite3.Connection, in_thread: InThread) -> None:
        """Awaited after one."""
        ...


class Writer:
    """Applies changes in the order in which they came, on the event loop that it was made on.

    Args:
        connect: opens the writer's connection, which waits for no lock, and another after a failure.
        patience: seconds to wait, in the thread, for another process's write.
        committed: called after each transaction, before those who waited are answered.
        log: where transactions go.
        place: knows whether the files are where they were.
        condition: is told how it goes.
        rescue: called in the thread when the files are not where they were.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what a transaction has to do with
        self,
        connect: Callable[[], sqlite3.Connection],
        patience: float,
        committed: Callable[[], None],
        log: Log,
        place: Place,
        condition: Condition,
        rescue: Callable[[], None],
    ) -> None:
        self._connect = connect
        self._patience = patience
        self._committed = committed
        self._wal = log
        self._place = place
        self._condition = condition
        self._rescue = rescue
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, "nightsafe-writer")
        self._waiting: deque[Waiting] = deque()
        self._turn: Turn | None = None
        self._task: asyncio.Task[None] | None = None
        self._db: sqlite3.Connection | None = None
        self._owes = self._purging = False

    def start(self) -> None:
        """Start the thread, which would otherwise be started by the first write, and may then be one too many.

        Raises:
            RuntimeError: when the system allows no further thread.
        """
        self._thread.submit(int).result()

    def abandon(self) -> None:
        """Let go of a thread that may not have been started."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def submit(self, change: Change | None) -> "Future[Outcome]":
        """Queue a change; the future is its answer."""
        future: Future[Outcome] = self._loop.create_future()
        self._waiting.append((change, future))
        if self._task is None:
            self._begin_task()
        return future

    def purge(self) -> None:
        """Purge what deletions have left, part by part, each between two transactions of others."""
        self._owes = True
        if self._task is None:
            self._begin_task()

    async def end(self) -> None:
        """Finish what waits and what is to be purged, and close the connection."""
        while self._task is not None:
            await asyncio.wait([self._task])
        self._forget()
        self._thread.shutdown()

    def _begin_task(self) -> None:
        """Run, until nothing waits."""
        self._task = self._loop.create_task(self._run())
        self._task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        """A task is at its end. After one that failed another finishes its turn, and goes on with what waits."""
        self._task = None
        error = None if task.cancelled() else task.exception()
        if task.cancelled() or error is not None:
            self._condition.writer_failures += 1
            _log.error("writer.failed", **_told(error))
            self._give_up(error)
        if self._turn is not None or self._waiting:
            self._begin_task()

    def _give_up(self, error: BaseException | None) -> None:
        """Answer a turn over which a task has failed before, with what is known of it."""
        turn = self._turn
        if turn is None:
            return
        turn.error = turn.error or error
        turn.failures += 1
        if turn.failures >= _MOST_FAILURES:
            self._turn = None
            turn.settle()
            db, self._db = self._db, None
            with suppress(RuntimeError):  # the thread is gone
                self._thread.submit(_close, db)  # after whatever else it does with it

    async def _run(self) -> None:
        """Finish what another task has left, then one transaction after the other while there are changes."""
        if self._turn is not None:
            await self._conclude(self._turn)
        if self._purging:
            await self._in_thread(self._roll_back)  # after whatever the thread does for a task that has ended
            self._purging = False
        goes_on = True
        while self._waiting or (self._owes and goes_on):
            if self._waiting:
                turn = Turn([self._waiting.popleft() for _ in range(min(len(self._waiting), MOST))])
                self._turn = turn
                await self._transact(turn)
                await self._conclude(turn)
                self._owes = self._owes or (turn.committed and turn.removes)
            goes_on = not self._owes or await self._purge_part()
            if self._db is not None:
                await self._wal.after(self._db, self._in_thread)

    async def _purge_part(self) -> bool:
        """Purge a part of what deletions have left; whether that could be done. Else it waits for the next change."""
        try:
            self._place.check()
            if self._db is None:
                self._db = await self._in_thread(self._connect)
            await self._wal.before(self._db, self._in_thread)
            self._purging = True
            self._owes = await self._in_thread(self._purge, self._db)
            self._purging = False
        except Exception as error:  # noqa: BLE001  # whatever it is, the writer goes on
            _log.error("purge.failed", **_told(error))
            return False
        self._committed()
        return True

    def _purge(self, db: sqlite3.Connection) -> bool:
        """In the thread: one transaction that purges; whether there may be more to purge."""
        if not is_owed(db):
            return False
        cursor = db.cursor()
        self._begin_patiently(cursor)
        try:
            purge_part(cursor)
            cursor.execute("COMMIT")
        finally:
            self._roll_back()
        return True

    async def _transact(self, turn: Turn) -> None:
        """One transaction. What fails is noted."""
        try:
            if not self._place.is_kept():
                await self._in_thread(self._rescue)
                self._place.check()
            if self._db is None:
                self._db = await self._in_thread(self._connect)
            db = self._db
            await self._wal.before(db, self._in_thread)
            if turn.probes:
                await self._in_thread(prove_room, db)
            cursor = await self._begin(db)
            while len(turn.answers) < len(turn.batch):
                if turn.is_heavy:
                    await self._in_thread(turn.attempt, cursor)
                else:
                    turn.attempt(cursor)
                if len(turn.answers) % _SLICE == 0:
                    await asyncio.sleep(0)
            await self._in_thread(turn.commit, cursor, self._wal.header)
        except Exception as error:  # noqa: BLE001  # whatever it is, the writer goes on and the callers learn of it
            turn.error = turn.error or error
            if not isinstance(error, sqlite3.Error | NightsafeError):
                _log.error("writer.failed", **_told(error))

    async def _conclude(self, turn: Turn) -> None:
        """Answer a turn, whatever has become of it."""
        if not turn.committed:
            await self._in_thread(self._clear, turn)  # the thread may have been about to commit it
        if turn.committed and not self._place.is_kept():
            turn.lost = self._place.lost()
        self._note(turn)
        self._committed()
        self._turn = None
        turn.settle()

    def _note(self, turn: Turn) -> None:
        """Say how it went."""
        refusal = turn.refusal()
        if refusal is None:
            self._condition.committed()
        else:
            self._condition.failed(refusal)

    def _clear(self, turn: Turn) -> None:
        """In the thread: end a transaction that failed, and overwrite what its COMMIT may have left in the log."""
        if turn.committed:
            return
        self._roll_back()
        if not turn.left_traces:
            return
        try:
            if self._db is None:
                self._db = self._connect()
            overwrite(self._db)
        except (sqlite3.Error, NightsafeError):
            self._roll_back()
            turn.undone(surely=False)
        else:
            turn.undone(surely=True)

    async def _begin(self, db: sqlite3.Connection) -> sqlite3.Cursor:
        """Begin a transaction: at once, or in the thread when another process is writing."""
        cursor = db.cursor()
        try:
            cursor.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            await self._in_thread(self._begin_patiently, cursor)
        return cursor

    def _begin_patiently(self, cursor: sqlite3.Cursor) -> None:
        """In the thread: begin as soon as the other process lets go."""
        cursor.execute(f"PRAGMA busy_timeout = {int(self._patience * 1000)}")
        try:
            cursor.execute("BEGIN IMMEDIATE")
        finally:
            cursor.execute("PRAGMA busy_timeout = 0")

    async def _in_thread(self, call: Callable[..., T], *arguments: object) -> T:
        """Call something that may wait for the disk or a lock."""
        return await self._loop.run_in_executor(self._thread, call, *arguments)

    def _roll_back(self) -> None:
        """End a failed transaction; a connection that cannot is given up."""
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


def _told(error: BaseException | None) -> dict[str, object]:
    """What the log says of an error: its kind and the lines it came through, but no words that may hold a value."""
    if error is None:
        return {"error": "cancelled"}
    lines = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    return {"error": type(error).__name__, "lines": lines}
