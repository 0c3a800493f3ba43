"""Finds out later what became of a group whose callers were told that it may or may not be kept."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.changes import Outcome, OutcomeUnknownError
from nightsafe.store.postgres.engine.failures import FAILURES
from nightsafe.store.postgres.engine.patience import STALL_SECONDS, pause_after
from nightsafe.store.postgres.engine.write_batch import Answer, SentCommit, WriteBatch
from nightsafe.store.postgres.writes.loading import LOCK_HEAD, PROBE

if TYPE_CHECKING:
    from asyncpg import Connection

_SECONDS: Final = 600.0
"""A group is given up when no primary has told of it for so long."""

_LEAF: Final = "SELECT leaf FROM audit WHERE seq = $1"


async def is_in_log(db: "Connection", sent: SentCommit) -> bool:
    """Return whether a group was committed. It waits for the connection that may still be committing it."""
    await db.execute(LOCK_HEAD)
    leaf = await db.fetchval(_LEAF, sent.number)
    await db.execute(PROBE)
    await db.execute("COMMIT")
    return bool(leaf == sent.leaf)


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
        sent, loop = batch.sent, asyncio.get_running_loop()
        if sent is None:  # it was sent more than once, and only the last attempt can be looked for
            batch.refuse(error)
            return
        outcomes: list[asyncio.Future[Outcome]] = [loop.create_future() for _ in batch.batch]
        for (_, future, _), outcome in zip(batch.batch, outcomes, strict=True):
            if not future.done():
                unknown = OutcomeUnknownError.of(error.problems)
                unknown.outcome = outcome
                future.set_exception(unknown)
        task = loop.create_task(self._settle(sent, batch.answers, outcomes))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def end(self) -> None:
        """Give all groups up."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _settle(
        self, sent: SentCommit, answers: Sequence[Answer], outcomes: "Sequence[asyncio.Future[Outcome]]"
    ) -> None:
        """Look for a group in the log, and set the outcomes of its changes."""
        kept = False
        try:
            async with asyncio.timeout(_SECONDS):
                kept = await self._find(sent)
        finally:
            not_kept = NightsafeError(Code.STORE, "the group is not in the log")
            for outcome, answer in zip(outcomes, answers, strict=True):
                _set(outcome, answer if kept else not_kept)

    async def _find(self, sent: SentCommit) -> bool:
        """Return whether a group is in the log, as soon as a primary tells."""
        failures = 0
        while True:
            db = None
            try:
                async with asyncio.timeout(STALL_SECONDS):
                    db = await self._connect()
                    return await is_in_log(db, sent)
            except FAILURES:
                failures += 1
            finally:
                if db is not None:
                    db.terminate()
            await asyncio.sleep(pause_after(failures))


def _set(outcome: "asyncio.Future[Outcome]", answer: Answer) -> None:
    """Set an outcome, if nobody has ended the wait for it."""
    if outcome.done():
        return
    if isinstance(answer, Exception):
        outcome.set_exception(answer)
        outcome.exception()  # perhaps nobody waits for it
    else:
        outcome.set_result(answer)
