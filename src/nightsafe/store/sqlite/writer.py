"""The one writer: takes all changes that wait into one transaction, and one fsync.

Statements run on the event loop's thread, a slice at a time; only what waits for the disk or for another process,
and the few changes that take long by themselves, run in a thread. A writer thread for everything costs more than the
statements themselves: sealing holds the interpreter lock for 0.2 ms a value, and SQLite gives it up and takes it back
at every step.
"""

import asyncio
import sqlite3
from asyncio import Future
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, TypeVar

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.model import Change, Outcome
from nightsafe.store.sqlite.connection import is_engine_failure, store_error
from nightsafe.store.sqlite.edits import apply
from nightsafe.store.sqlite.heavy import is_heavy
from nightsafe.store.sqlite.in_thread import InThread

MOST: Final = 512
"""The most changes in one transaction."""

_SLICE: Final = 8
"""Changes after which other tasks of the loop have their turn."""

T = TypeVar("T")
Answer = Outcome | BaseException
Waiting = tuple[Change | None, "Future[Outcome]"]
"""A change and who waits for it; no change is a probe, which proves that writing is possible."""

_PROBE = "UPDATE probe SET count = count + 1"


class Writer:
    """Applies changes in the order in which they came, on the event loop that it was made on.

    Args:
        connect: opens the writer's connection, which waits for no lock, and another after a failure.
        patience: seconds to wait, in the thread, for another process's write.
        committed: called after each transaction, before those who waited are answered.
        between: awaited between two transactions, with the connection and a way into the thread.
    """

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        patience: float,
        committed: Callable[[], None],
        between: Callable[[sqlite3.Connection, InThread], Awaitable[None]],
    ) -> None:
        self._connect = connect
        self._patience = patience
        self._committed = committed
        self._between = between
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, "nightsafe-writer")
        self._waiting: deque[Waiting] = deque()
        self._task: asyncio.Task[None] | None = None
        self._db: sqlite3.Connection | None = None

    def submit(self, change: Change | None) -> "Future[Outcome]":
        """Queue a change; the future is its answer."""
        future: Future[Outcome] = self._loop.create_future()
        self._waiting.append((change, future))
        if self._task is None:
            self._task = self._loop.create_task(self._run())
        return future

    async def end(self) -> None:
        """Finish what waits, and close the connection."""
        while self._task is not None:
            await asyncio.wait([self._task])
        self._forget()
        self._thread.shutdown()

    async def _run(self) -> None:
        """One transaction after the other, while there are changes."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST))]
            answers = await self._transact(batch)
            self._committed()
            _settle(batch, answers)
            if self._db is not None:
                await self._between(self._db, self._in_thread)
        self._task = None

    async def _transact(self, batch: Sequence[Waiting]) -> list[Answer]:
        """One transaction. A failure of the engine is everyone's answer."""
        answers: list[Answer] = []
        try:
            cursor = await self._begin()
            for change, _ in batch:
                heavy = is_heavy(change)
                answer = await self._in_thread(_attempt, cursor, change) if heavy else _attempt(cursor, change)
                answers.append(answer)
                if len(answers) % _SLICE == 0:
                    await asyncio.sleep(0)
            await self._in_thread(cursor.execute, "COMMIT")
        except Exception as error:  # noqa: BLE001  # whatever it is, the writer goes on and the callers learn of it
            await self._in_thread(self._roll_back)
            return [_answer(error) for _ in batch]
        return answers

    async def _begin(self) -> sqlite3.Cursor:
        """Begin a transaction: at once, or in the thread when another process is writing."""
        if self._db is None:
            self._db = await self._in_thread(self._connect)
        cursor = self._db.cursor()
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
        """Close the connection."""
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
            self._db = None


def _settle(batch: Sequence[Waiting], answers: Sequence[Answer]) -> None:
    """Answer everyone who still waits."""
    for (_, future), answer in zip(batch, answers, strict=True):
        if future.done():
            continue
        if isinstance(answer, BaseException):
            future.set_exception(answer)
        else:
            future.set_result(answer)


def _attempt(cursor: sqlite3.Cursor, change: Change | None) -> Answer:
    """One change within the transaction: what is wrong with it alone leaves its neighbours as they are."""
    if change is None:
        cursor.execute(_PROBE)
        return Outcome()
    cursor.execute("SAVEPOINT change")
    answer: Answer
    try:
        answer = apply(cursor, change)
    except Exception as error:
        if is_engine_failure(error):
            raise
        cursor.execute("ROLLBACK TO change")
        answer = _answer(error)
    cursor.execute("RELEASE change")
    return answer


def _answer(error: Exception) -> Exception:
    """What a caller gets for an error."""
    if is_engine_failure(error):
        return store_error(error)
    if getattr(error, "sqlite_errorname", "") == "SQLITE_CONSTRAINT_UNIQUE":
        return NightsafeError(Code.INVALID, "another user has this e-mail, or another token this digest")
    return error
