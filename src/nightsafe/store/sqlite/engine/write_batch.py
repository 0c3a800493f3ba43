"""One turn of the writer: the changes in one transaction, and their answers."""

import sqlite3
from asyncio import Future
from collections.abc import Callable, Sequence
from typing import Final

from nightsafe.errors import AGAIN, Code, NightsafeError
from nightsafe.store.changes import Change, Outcome
from nightsafe.store.rules.changes import apply
from nightsafe.store.rules.group_log import GroupLog
from nightsafe.store.sqlite.engine.connection import CACHE_SIZE, is_engine_failure, store_error
from nightsafe.store.sqlite.writes.rows import SqliteRows

Answer = Outcome | BaseException
PendingChange = tuple[Change | None, "Future[Outcome]"]
"""A change and the future that waits for it; None is a probe, which proves that writes work."""

_PROBE: Final = "UPDATE probe SET count = count + 1"
_ROOM_BYTES: Final = 256 << 10
_CERTAIN: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY})
"""Failures of a COMMIT that leave no whole transaction in the log, because its last frame was not written."""


class WriteBatch:
    """Changes that share a transaction.

    Args:
        batch: the changes, with the futures that wait for them.

    Attributes:
        answers: the answers so far, in the batch's order.
        began: whether the COMMIT was begun.
        committed: whether the COMMIT succeeded.
        error: why it did not.
        files_lost_error: why the transaction may be lost although the COMMIT succeeded.
    """

    def __init__(self, batch: Sequence[PendingChange]) -> None:
        self.batch: Final = batch
        self.answers: list[Answer] = []
        self.began = False
        self.committed = False
        self.error: BaseException | None = None
        self.files_lost_error: NightsafeError | None = None
        self.failures = 0
        self._moved = False
        self._cleared = False

    @property
    def probes(self) -> bool:
        """Whether the turn must prove that writes work."""
        return any(change is None for change, _ in self.batch)

    @property
    def removes(self) -> bool:
        """Whether the turn deletes scripts, which may leave rows to purge."""
        return any(change is not None and change.edit is not None and change.edit.remove for change, _ in self.batch)

    @property
    def left_traces(self) -> bool:
        """Whether its failed COMMIT may have left the transaction whole in the log: a crash would restore it."""
        return self.began and not (self.committed or self._cleared) and _code(self.error) not in _CERTAIN

    @property
    def is_heavy(self) -> bool:
        """Whether the next change alone takes long."""
        return is_heavy(self.batch[len(self.answers)][0])

    def attempt(self, cursor: sqlite3.Cursor, log: GroupLog) -> None:
        """Apply the next change within the transaction; a refused change does not affect the others."""
        self.answers.append(_attempt(cursor, self.batch[len(self.answers)][0], log))

    def commit(self, cursor: sqlite3.Cursor, header: Callable[[], bytes]) -> None:
        """In the thread, make the transaction durable.

        Args:
            cursor: the transaction's cursor.
            header: returns the wal-index header, which differs after any commit.
        """
        self.began, before = True, header()
        try:
            cursor.execute("COMMIT")
        except BaseException as error:
            self.error, self._moved = error, header() != before
            raise
        self.committed = True

    def mark_undone(self, *, surely: bool) -> None:
        """Note that the traces of the failed COMMIT were overwritten (`surely`), or could not be."""
        self._cleared = True
        if surely and not self._moved:
            self.error = NightsafeError(
                Code.NOT_DURABLE,
                f"the safe's disk did not make the change durable ({_error_text(self.error)}): it was undone and "
                "nothing was changed",
            )
        else:
            self.error = _unknown(self.error)

    def refusal(self) -> NightsafeError | None:
        """Return why none of the changes was made; None if they were made."""
        if self.committed:
            return self.files_lost_error
        if isinstance(self.error, NightsafeError):
            return self.error
        if self.left_traces:
            return _unknown(self.error)
        if self.error is not None and is_engine_failure(self.error):
            return store_error(self.error)
        return NightsafeError(Code.STORE, f"the writer failed ({type(self.error).__name__}): nothing was changed")

    def answer_all(self) -> None:
        """Answer every future that still waits. A failure of the engine is the answer to all of them."""
        refusal = self.refusal()
        answers: list[Answer] = self.answers
        if refusal is not None:
            answers = [
                NightsafeError.of(refusal.problems) for _ in self.batch
            ]  # each future raises its own exception object
        for (_, future), answer in zip(self.batch, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, BaseException):
                future.set_exception(answer)
            else:
                future.set_result(answer)


def overwrite(db: sqlite3.Connection) -> None:
    """In the thread, commit a probe that overwrites a failed commit's first frame in the log.

    The log's frames are chained by their checksums (https://www.sqlite.org/fileformat2.html#walformat), so nothing
    after the first changed frame counts, and the failed commit is no longer whole.
    """
    db.execute("BEGIN IMMEDIATE")
    db.execute(_PROBE)
    db.execute("COMMIT")


def prove_room(db: sqlite3.Connection) -> None:
    """In the thread, write as much to the log as a change of many secrets does, and roll it back.

    Overwriting a single row could succeed on a disk without room for anything else. With almost no page cache, SQLite
    writes the pages to the log before the COMMIT. The COMMIT never comes, so this takes room in the log only once.
    """
    db.execute("PRAGMA cache_size = 10")
    try:
        db.execute("BEGIN IMMEDIATE")
        db.execute("UPDATE probe SET count = zeroblob(?)", (_ROOM_BYTES,))
    except sqlite3.OperationalError as error:
        if _code(error) != sqlite3.SQLITE_BUSY:  # another process is writing, so writes work
            raise
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")
        db.execute(CACHE_SIZE)


def _attempt(cursor: sqlite3.Cursor, change: Change | None, log: GroupLog) -> Answer:
    """Apply one change within the transaction; an error of this change alone does not affect the others."""
    if change is None:
        cursor.execute(_PROBE)
        return Outcome()
    cursor.execute("SAVEPOINT change")
    log.begin_change()
    answer: Answer
    try:
        answer = apply(SqliteRows(cursor), change, log)
    except Exception as error:
        if is_engine_failure(error):
            raise
        cursor.execute("ROLLBACK TO change")
        log.undo_change()
        answer = _answer(error)
    cursor.execute("RELEASE change")
    return answer


def _answer(error: Exception) -> Exception:
    """Return the answer for the caller of one change that failed."""
    if getattr(error, "sqlite_errorname", "") == "SQLITE_CONSTRAINT_UNIQUE":
        return NightsafeError(Code.INVALID, "another user has this e-mail, or another token has this digest")
    return error


def _unknown(error: BaseException | None) -> NightsafeError:
    """Return the answer for a change with an unknown outcome."""
    return NightsafeError(
        Code.OUTCOME_UNKNOWN,
        f"the safe's disk failed while it made the change durable: the change may or may not be kept "
        f"({_error_text(error)}); check before you {AGAIN}",
    )


def _error_text(error: BaseException | None) -> str:
    """Return the engine's own message, or only the type of any other error."""
    if error is not None and is_engine_failure(error):
        return f"{error} ({getattr(error, 'sqlite_errorname', type(error).__name__)})"
    return type(error).__name__


def _code(error: BaseException | None) -> int:
    """Return an error's primary SQLite code; 0 for any other error."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


_MAX_BYTES: Final = 256 * 1024


def is_heavy(change: Change | None) -> bool:
    """Return True if a change may take more than a few milliseconds, as far as this can be known in advance.

    A deleted script may have any number of versions. A deployment of an older version compares secrets through the
    whole history. Large files are copied page by page.
    """
    edit = None if change is None else change.edit
    if edit is None:
        return False
    large = edit.upload is not None and sum(len(module.body) for module in edit.upload.modules) > _MAX_BYTES
    return large or edit.remove or edit.deploy is not None
