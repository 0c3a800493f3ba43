"""Finds out later what became of a group whose callers were told that it may or may not be kept."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import asyncpg

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.changes import Outcome, OutcomeUnknownError
from nightsafe.store.postgres.engine.failures import FAILURES
from nightsafe.store.postgres.engine.group_commit import find_in_log
from nightsafe.store.postgres.engine.patience import STALL_SECONDS, pause_after
from nightsafe.store.postgres.engine.write_batch import Answer, SentCommit, WriteBatch
from nightsafe.store.postgres.writes.loading import LOCK_HEAD, PROBE

if TYPE_CHECKING:
    from asyncpg import Connection

_SECONDS: Final = 600.0
"""A group is given up when no primary has told of it for so long."""

_END: Final = """
SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity
WHERE pid = $1 AND backend_start < to_timestamp($2) AND application_name = 'nightsafe' AND usename = current_user
"""


class Settling:
    """The groups whose outcome is not known yet.

    Args:
        connect: opens a connection to the primary.
    """

    def __init__(self, connect: "Callable[[], Awaitable[Connection]]") -> None:
        self._connect = connect
        self._tasks: set[asyncio.Task[None]] = set()

    def refuse(self, batch: WriteBatch, error: NightsafeError) -> None:
        """Answer a group that may have been committed, and find out later whether it was."""
        loop = asyncio.get_running_loop()
        outcomes: list[asyncio.Future[Outcome]] = [loop.create_future() for _ in batch.batch]
        for (_, future, _), outcome in zip(batch.batch, outcomes, strict=True):
            if not future.done():
                unknown = OutcomeUnknownError.of(error.problems)
                unknown.outcome = outcome
                future.set_exception(unknown)
        task = loop.create_task(self._settle(batch.sent, outcomes))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def end(self) -> None:
        """Give all groups up."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _settle(self, sent: Sequence[SentCommit], outcomes: "Sequence[asyncio.Future[Outcome]]") -> None:
        """Look for a group in the log, and set the outcomes of its changes."""
        found = None
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_SECONDS):
                    found = await self._find(sent)
        finally:
            not_kept = NightsafeError(Code.STORE, "the group is not in the log")
            for number, outcome in enumerate(outcomes):
                _set(outcome, not_kept if found is None else found.answers[number])

    async def _find(self, sent: Sequence[SentCommit]) -> SentCommit | None:
        """Return the attempt that is in the log, or None, as soon as a primary tells."""
        failures = 0
        while True:
            db = None
            try:
                async with asyncio.timeout(STALL_SECONDS):
                    db = await self._connect()
                    return await _settled(db, sent)
            except FAILURES:
                failures += 1
            finally:
                if db is not None:
                    db.terminate()
            await asyncio.sleep(pause_after(failures))


async def _settled(db: "Connection", sent: Sequence[SentCommit]) -> SentCommit | None:
    """Return the attempt that is in the log; if none is, none will be.

    The processes that were to commit them are ended first, because one of them might still get its statement.
    """
    for one in sent:
        with suppress(asyncpg.UndefinedFunctionError, asyncpg.InsufficientPrivilegeError):
            await db.execute(_END, one.process, one.at)
    await db.execute(LOCK_HEAD)
    found = await find_in_log(db, sent)
    await db.execute(PROBE)
    await db.execute("COMMIT")
    return found


def _set(outcome: "asyncio.Future[Outcome]", answer: Answer) -> None:
    """Set an outcome, if nobody has ended the wait for it."""
    if outcome.done():
        return
    if isinstance(answer, Exception):
        outcome.set_exception(answer)
        outcome.exception()  # perhaps nobody waits for it
    else:
        outcome.set_result(answer)
