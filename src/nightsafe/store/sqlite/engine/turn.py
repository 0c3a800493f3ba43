"""One turn of the writer: the changes that go into one transaction, and what becomes of them."""

import sqlite3
from asyncio import Future
from collections.abc import Callable, Sequence
from typing import Final

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.changes import Change, Outcome
from nightsafe.store.sqlite.engine.connection import CACHE_SIZE, is_engine_failure, store_error
from nightsafe.store.sqlite.writes.changes import apply

Answer = Outcome | BaseException
Waiting = tuple[Change | None, "Future[Outcome]"]
"""A change and who waits for it; no change is a probe, which proves that writing is possible."""

_PROBE: Final = "UPDATE probe SET count = count + 1"
_ROOM_BYTES: Final = 256 << 10
_CERTAIN: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY})
"""Failures of a COMMIT that leave no whole transaction in the log: its last frame was not written."""


class Turn:
    """Changes that share a transaction.

    Args:
        batch: the changes, with those who wait.

    Attributes:
        answers: what is known so far, in the batch's order.
        began: whether a COMMIT was begun.
        committed: whether it was done.
        error: why it was not.
        lost: what has become of it although it was done.
    """

    def __init__(self, batch: Sequence[Waiting]) -> None:
        self.batch: Final = batch
        self.answers: list[Answer] = []
        self.began = False
        self.committed = False
        self.error: BaseException | None = None
        self.lost: NightsafeError | None = None
        self.failures = 0
        self._moved = False
        self._cleared = False

    @property
    def probes(self) -> bool:
        """Whether it has to prove that writing is possible."""
        return any(change is None for change, _ in self.batch)

    @property
    def removes(self) -> bool:
        """Whether it deletes scripts, of which something may be left to be purged."""
        return any(change is not None and change.edit is not None and change.edit.remove for change, _ in self.batch)

    @property
    def left_traces(self) -> bool:
        """Whether its COMMIT failed in such a way that the log may hold it whole: a crash would bring it back."""
        return self.began and not (self.committed or self._cleared) and _code(self.error) not in _CERTAIN

    @property
    def is_heavy(self) -> bool:
        """Whether the next change takes long by itself."""
        return is_heavy(self.batch[len(self.answers)][0])

    def attempt(self, cursor: sqlite3.Cursor) -> None:
        """The next change within the transaction; one that is wrong leaves its neighbours as they are."""
        self.answers.append(_attempt(cursor, self.batch[len(self.answers)][0]))

    def commit(self, cursor: sqlite3.Cursor, header: Callable[[], bytes]) -> None:
        """In the thread: make it durable.

        Args:
            cursor: of the transaction.
            header: of the wal-index, which differs once anything was committed.
        """
        self.began, before = True, header()
        try:
            cursor.execute("COMMIT")
        except BaseException as error:
            self.error, self._moved = error, header() != before
            raise
        self.committed = True

    def undone(self, *, surely: bool) -> None:
        """What its COMMIT may have left was overwritten, or could not be."""
        self._cleared = True
        if surely and not self._moved:
            self.error = NightsafeError(
                Code.NOT_DURABLE,
                f"the safe's disk did not make this durable ({_said(self.error)}): it was undone, nothing is changed",
            )
        else:
            self.error = _unknown(self.error)

    def refusal(self) -> NightsafeError | None:
        """Why nobody's change was made; None when they were."""
        if self.committed:
            return self.lost
        if isinstance(self.error, NightsafeError):
            return self.error
        if self.left_traces:
            return _unknown(self.error)
        if self.error is not None and is_engine_failure(self.error):
            return store_error(self.error)
        return NightsafeError(Code.STORE, f"the writer failed ({type(self.error).__name__}): nothing was changed")

    def settle(self) -> None:
        """Answer everyone who still waits. A failure of the engine is everyone's answer."""
        refusal = self.refusal()
        answers: list[Answer] = self.answers
        if refusal is not None:
            answers = [
                NightsafeError.of(refusal.problems) for _ in self.batch
            ]  # each is raised in a place of its own
        for (_, future), answer in zip(self.batch, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, BaseException):
                future.set_exception(answer)
            else:
                future.set_result(answer)


def overwrite(db: sqlite3.Connection) -> None:
    """In the thread: commit a probe, which begins in the log where a failed commit began: that is not whole any more.

    Frames of the log are chained by their checksums (https://www.sqlite.org/fileformat2.html#walformat), so that
    nothing after the first frame that is another counts.
    """
    db.execute("BEGIN IMMEDIATE")
    db.execute(_PROBE)
    db.execute("COMMIT")


def prove_room(db: sqlite3.Connection) -> None:
    """In the thread: write as much to the log as a change of many secrets does, and take it back.

    A row that is overwritten fits in where there is no room for anything else. With no memory to keep pages in they
    are written before the COMMIT, which never comes, so this takes room in the log but once.
    """
    db.execute("PRAGMA cache_size = 10")
    try:
        db.execute("BEGIN IMMEDIATE")
        db.execute("UPDATE probe SET count = zeroblob(?)", (_ROOM_BYTES,))
    except sqlite3.OperationalError as error:
        if _code(error) != sqlite3.SQLITE_BUSY:  # another process writes, so one can
            raise
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")
        db.execute(CACHE_SIZE)


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
    """What the caller of one change gets for an error."""
    if getattr(error, "sqlite_errorname", "") == "SQLITE_CONSTRAINT_UNIQUE":
        return NightsafeError(Code.INVALID, "another user has this e-mail, or another token this digest")
    return error


def _unknown(error: BaseException | None) -> NightsafeError:
    """The answer when nobody knows."""
    return NightsafeError(
        Code.OUTCOME_UNKNOWN,
        f"the safe's disk failed while this was made durable: it is not known whether it was kept ({_said(error)}); "
        "look before you send it again",
    )


def _said(error: BaseException | None) -> str:
    """An engine's own words, or the kind of another error."""
    if error is not None and is_engine_failure(error):
        return f"{error} ({getattr(error, 'sqlite_errorname', type(error).__name__)})"
    return type(error).__name__


def _code(error: BaseException | None) -> int:
    """SQLite's primary code of an error; 0 of any other."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


_MOST_BYTES: Final = 256 * 1024


def is_heavy(change: Change | None) -> bool:
    """Whether a change may take more than a few milliseconds, as far as can be told before.

    A script that is deleted may have any number of versions; to go back to an older version compares secrets all
    through the history; large files are copied page by page.
    """
    edit = None if change is None else change.edit
    if edit is None:
        return False
    large = edit.upload is not None and sum(len(module.body) for module in edit.upload.modules) > _MOST_BYTES
    return large or edit.remove or edit.deploy is not None
