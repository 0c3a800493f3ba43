"""The one writer: takes all changes that wait into one transaction, and one fsync."""

import sqlite3
import threading
from asyncio import Future
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.model import Change, Outcome
from nightsafe.store.sqlite.connection import is_engine_failure, store_error
from nightsafe.store.sqlite.edits import apply

MOST: Final = 512
"""The most changes in one transaction."""

Answer = Outcome | BaseException
Waiting = tuple[Change | None, "Future[Outcome]"]
"""A change and who waits for it; no change is a probe, which proves that writing is possible."""

_PROBE = "UPDATE probe SET count = count + 1"


class Writer:
    """A thread that applies changes in the order in which they came.

    Args:
        connect: opens the writer's connection, and another after a failure that it did not survive.
        settle: called from the thread after each transaction, with who waited and their answers.
        after_commit: called from the thread between two transactions.
        ended: called from the thread at its end.
    """

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        settle: Callable[[Sequence[Waiting], Sequence[Answer]], None],
        after_commit: Callable[[sqlite3.Connection], None],
        ended: Callable[[], None],
    ) -> None:
        self._connect = connect
        self._settle = settle
        self._after_commit = after_commit
        self._ended = ended
        self._queue: SimpleQueue[Waiting | None] = SimpleQueue()
        self._db: sqlite3.Connection | None = None
        self._thread = threading.Thread(target=self._run, name="nightsafe-writer", daemon=True)
        self._thread.start()

    def submit(self, waiting: Waiting) -> None:
        """Queue a change."""
        self._queue.put(waiting)

    def end(self) -> None:
        """Let the thread finish what waits, call `ended` and end."""
        self._queue.put(None)

    def join(self) -> None:
        """Wait for the thread's end."""
        self._thread.join()

    def _run(self) -> None:
        """The thread."""
        more = True
        while more:
            batch, more = self._take()
            if batch:
                self._settle(batch, self._transact(batch))
                if self._db is not None:
                    self._after_commit(self._db)
        self._forget()
        self._ended()

    def _take(self) -> tuple[list[Waiting], bool]:
        """All that wait, at least one; and whether more may come."""
        batch: list[Waiting] = []
        item = self._queue.get()
        with suppress(Empty):
            while item is not None:
                batch.append(item)
                if len(batch) == MOST:
                    break
                item = self._queue.get_nowait()
        return batch, item is not None

    def _transact(self, batch: Sequence[Waiting]) -> list[Answer]:
        """One transaction. A failure of the engine is everyone's answer."""
        try:
            if self._db is None:
                self._db = self._connect()
            cursor = self._db.cursor()
            cursor.execute("BEGIN IMMEDIATE")
            answers = [_attempt(cursor, change) for change, _ in batch]
            cursor.execute("COMMIT")
        except Exception as error:  # noqa: BLE001  # whatever it is, the thread goes on and the callers learn of it
            self._roll_back()
            return [_answer(error) for _ in batch]
        return answers

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
