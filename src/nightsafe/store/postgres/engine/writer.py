"""The only writer of a node: it commits all waiting changes as one group, and finds out what became of each group.

A group that was sent may be committed although its answer is lost. Then the writer looks for the group's first entry
in the log, in a connection to the server that is the primary now. That look commits a write of its own. So when it
has answered, everything before it is as durable as the server makes commits, on the standbys, too.
"""

import asyncio
import traceback
from asyncio import Future
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import structlog

from nightsafe.errors import AGAIN, Code, NightsafeError
from nightsafe.store.changes import Change, Outcome
from nightsafe.store.postgres.engine.connection import no_primary
from nightsafe.store.postgres.engine.failures import (
    is_of_one_change,
    is_of_server,
    reason_of,
    refusal_of,
    store_error,
    will_pass,
)
from nightsafe.store.postgres.engine.group_commit import GroupCommit
from nightsafe.store.postgres.engine.patience import LEAST_SECONDS, STALL_SECONDS, pause_after
from nightsafe.store.postgres.engine.settling import Settling
from nightsafe.store.postgres.engine.write_batch import PendingChange, WriteBatch, size_of
from nightsafe.store.postgres.writes.loading import LOCK_HEAD
from nightsafe.store.postgres.writes.removal import is_purge_pending, purge_part

if TYPE_CHECKING:
    from asyncpg import Connection

_log = structlog.get_logger()

MAX_CHANGES: Final = 512
"""The maximum number of changes in one group."""

_MAX_BYTES: Final = 8 << 20
"""The maximum size of the files in one group, in bytes; a single change may have more."""

_BYTES_A_SECOND: Final = 2 << 20
"""The least speed, in bytes a second, at which a group's files are expected to be stored."""

_DOUBT: Final = "synchronous replication"
"""A part of the server's warning that a commit which it answers may not be on a standby: syncrep.c of PostgreSQL."""


class DoubtfulCommitError(ConnectionError):
    """The server has answered a commit that its standbys may not have."""


class Counters:
    """How many groups were committed, failed, or may be either.

    Attributes:
        commits, failures, unknown: how many.
    """

    def __init__(self) -> None:
        self.commits = self.failures = self.unknown = 0


class Writer:
    """Commits changes in order of arrival, on the event loop that created it.

    Args:
        connect: opens a connection to the primary.
        group: commits a group in a connection.
        committed: called with the size of the log after each commit, before its callers are answered.
        patience: seconds for which a change waits for a primary that answers.
    """

    def __init__(
        self,
        connect: "Callable[[], Awaitable[Connection]]",
        group: GroupCommit,
        committed: Callable[[int], None],
        patience: float,
    ) -> None:
        self._connect = connect
        self._group = group
        self._committed = committed
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[PendingChange] = deque()
        self._task: asyncio.Task[None] | None = None
        self._db: Connection | None = None
        self._purge_pending = True
        self._doubts = False
        self._settling = Settling(connect)
        self.counters: Final = Counters()

    def submit(self, change: Change | None) -> "Future[Outcome]":
        """Queue a change, and return the future of its answer."""
        future: Future[Outcome] = self._loop.create_future()
        self._waiting.append(PendingChange(change, future, self._loop.time()))
        if self._task is None:
            self._begin_task()
        return future

    def drop_idle(self) -> None:
        """Give the connection up unless a group uses it, because its server may not be the primary any more."""
        if self._task is None:
            self._drop()

    async def end(self) -> None:
        """Finish the waiting changes, then close the connection."""
        while self._task is not None:
            await asyncio.wait([self._task])
        await self._settling.end()
        if self._db is not None:
            with suppress(Exception):
                await asyncio.wait_for(self._db.close(), STALL_SECONDS)
        self._drop()

    def _begin_task(self) -> None:
        """Start a task that runs until nothing waits."""
        self._task = self._loop.create_task(self._run())
        self._task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        """Handle the end of a task; another continues with what waits."""
        self._task = None
        if not task.cancelled() and task.exception() is not None:
            _log.error("writer.failed", **_log_fields(task.exception()))
        if self._waiting:
            self._begin_task()

    async def _run(self) -> None:
        """Commit one group after another while changes wait, then purge what deletions have left."""
        while self._waiting:
            batch = self._next_batch()
            try:
                await self._commit(batch)
            except NightsafeError as error:
                self._refuse(batch, error)
            except BaseException as error:
                self._refuse(batch, _unforeseen(batch))
                if not isinstance(error, Exception):
                    raise
                _log.error("writer.failed", **_log_fields(error))
            self._purge_pending = self._purge_pending or batch.removes
        while self._purge_pending and not self._waiting:
            await self._purge_part()

    def _next_batch(self) -> WriteBatch:
        """Take the changes that wait, up to a number and a size."""
        pending, size = [self._waiting.popleft()], 0
        while self._waiting and len(pending) < MAX_CHANGES:
            size += size_of(pending[-1].change)
            if size + size_of(self._waiting[0].change) > _MAX_BYTES:
                break
            pending.append(self._waiting.popleft())
        return WriteBatch(pending)

    def _refuse(self, batch: WriteBatch, error: NightsafeError) -> None:
        """Answer a group that was not committed, or may not have been."""
        self._drop()
        self.counters.failures += 1
        self.counters.unknown += error.code is Code.OUTCOME_UNKNOWN
        _log.error("store.trouble", kind=error.code, reason=error.problems[0].detail)
        if error.code is Code.OUTCOME_UNKNOWN:
            self._settling.refuse(batch, error)
        else:
            batch.refuse(error)

    async def _commit(self, batch: WriteBatch) -> None:
        """Commit a group, and answer it.

        Raises:
            NightsafeError: when it is not committed, or it cannot be found out whether it is.
        """
        deadline, failures = max(batch.since + self._patience, self._loop.time() + LEAST_SECONDS), 0
        while True:
            try:
                await self._attempt(batch, deadline)
            except Exception as error:
                if is_of_one_change(error):
                    await self._commit_one_by_one(batch, error)
                    return
                if not will_pass(error):
                    if not is_of_server(error):
                        raise
                    batch.was_not_committed()  # the server has refused the statement
                    raise _unknown(batch, error) or store_error(error) from error
                if self._loop.time() >= deadline:
                    raise _unknown(batch, error) or no_primary(self._patience, reason_of(error)) from error
                failures += 1
                await asyncio.sleep(pause_after(failures))
            else:
                break
        self.counters.commits += 1
        self._committed(self._group.size)
        batch.answer_all()

    async def _attempt(self, batch: WriteBatch, deadline: float) -> None:
        """Commit a group unless an earlier attempt has done so.

        Raises:
            Exception: an error of the driver; the connection is given up.
        """
        left = max(deadline - self._loop.time(), 0.1)
        try:
            async with asyncio.timeout(min(STALL_SECONDS + batch.size / _BYTES_A_SECOND, left)):
                if self._db is None or self._db.is_closed():
                    self._db = await self._connect()
                    self._db.add_log_listener(self._warned)
                await self._run_group(self._db, batch)
        except BaseException:
            self._drop()
            raise

    async def _run_group(self, db: "Connection", batch: WriteBatch) -> None:
        """Commit a group; raise an error if its standbys may not have it although the server has answered."""
        self._doubts = False
        await self._group.run(db, batch)
        if self._doubts:
            raise DoubtfulCommitError

    def _warned(self, _: "Connection", message: Any) -> None:
        """Note the warning that a commit may not be on a standby, because its wait was cancelled."""
        self._doubts = self._doubts or _DOUBT in str(getattr(message, "message", ""))

    async def _commit_one_by_one(self, batch: WriteBatch, error: Exception) -> None:
        """Commit each change by itself, because the database refuses the content of one of them."""
        self._drop()
        if len(batch.batch) == 1:
            batch.answers = [refusal_of(error)]
            batch.answer_all()
            return
        for pending in batch.batch:
            one = WriteBatch([pending])
            try:
                await self._commit(one)
            except NightsafeError as refusal:
                self._refuse(one, refusal)

    async def _purge_part(self) -> None:
        """Purge a part of the rows that deletions have left; a failed purge waits for the next change."""
        try:
            async with asyncio.timeout(STALL_SECONDS):
                if self._db is None or self._db.is_closed():
                    self._db = await self._connect()
                    self._db.add_log_listener(self._warned)
                if not await is_purge_pending(self._db):
                    self._purge_pending = False
                    return
                await self._db.execute(LOCK_HEAD)
                self._purge_pending = await purge_part(self._db)
                await self._db.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - the writer continues after every error
            self._purge_pending = False
            self._drop()
            _log.error("purge.failed", **_log_fields(error))

    def _drop(self) -> None:
        """Give the connection up without a word to the server.

        A cancelled statement would be worse: a server that cancels a commit while it waits for its standbys answers
        that it is committed.
        """
        self._group.forget()
        if self._db is not None:
            self._db.terminate()
            self._db = None


def _unknown(batch: WriteBatch, error: BaseException) -> NightsafeError | None:
    """Return the answer to a group that may have been committed; None if it surely was not."""
    if not batch.sent:
        return None
    return NightsafeError(
        Code.OUTCOME_UNKNOWN,
        f"the connection to the database was lost while it made the change durable ({type(error).__name__}), and no"
        f" primary has told what became of it: the change may or may not be kept; {AGAIN}, unchanged",
    )


def _unforeseen(batch: WriteBatch) -> NightsafeError:
    """Return the answer after an error that nobody expected."""
    error = RuntimeError()
    return _unknown(batch, error) or NightsafeError(Code.STORE, "the writer failed: nothing was changed")


def _log_fields(error: BaseException | None) -> dict[str, object]:
    """Return an error's log fields: its type and traceback lines, but no message, which might contain a value."""
    if error is None:
        return {"error": "cancelled"}
    lines = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    return {"error": type(error).__name__, "lines": lines}
