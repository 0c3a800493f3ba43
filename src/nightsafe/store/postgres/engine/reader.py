"""Reads: one by one, several as of the same moment, and look-ups that arrive together in one statement.

A read goes to the primary, so it sees every commit that was answered before it. While no primary answers, a read
waits for one, and fails after a while.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.changes import is_tried_again
from nightsafe.store.postgres.engine.connection import no_primary
from nightsafe.store.postgres.engine.failures import FAILURES, reason_of, store_error, will_pass
from nightsafe.store.postgres.engine.patience import LEAST_SECONDS, STALL_SECONDS, pause_after
from nightsafe.store.postgres.engine.texts import columns

if TYPE_CHECKING:
    from asyncpg import Connection

T = TypeVar("T")

CONNECTIONS: Final = 4
"""How many connections a node reads with at most."""

_SNAPSHOT_SECONDS: Final = 10.0
"""The same for several reads as of one moment."""

_LONG_SECONDS: Final = 60.0
"""The same for a search that may take long by itself."""

_SNAPSHOT: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


class _Tried:
    """How often the attempts of a read have failed so far, and why."""

    times = 0
    reason = "no connection was free, or the server is silent"


class Reader:
    """A few connections for reads.

    Args:
        connect: opens a connection to the primary.
        patience: seconds for which a read waits for a primary that answers.
    """

    def __init__(self, connect: "Callable[[], Awaitable[Connection]]", patience: float) -> None:
        self._connect = connect
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._idle: list[Connection] = []
        self._drops = 0
        self._room = asyncio.Semaphore(CONNECTIONS)
        self._closed = False

    async def one(self, sql: str, *parameters: object) -> Any:
        """Return the only row, or None."""
        rows = await self.all(sql, *parameters)
        return rows[0] if rows else None

    async def all(self, sql: str, *parameters: object) -> list[Any]:
        """Return every row."""
        return await self.run(lambda db: db.fetch(sql, *parameters), STALL_SECONDS)

    async def long(self, sql: str, *parameters: object) -> list[Any]:
        """Return every row of a search that may take long."""
        return await self.run(lambda db: db.fetch(sql, *parameters), _LONG_SECONDS)

    async def in_snapshot(self, work: "Callable[[Connection], Awaitable[T]]") -> T:
        """Return the result of work that makes several reads, all as of the same moment."""

        async def in_transaction(db: "Connection") -> T:
            """Do the work."""
            await db.execute(_SNAPSHOT)
            result = await work(db)  # after a failure, the connection is given up
            await db.execute("COMMIT")
            return result

        return await self.run(in_transaction, _SNAPSHOT_SECONDS)

    @property
    def patience(self) -> float:
        """The seconds for which a read waits for a primary."""
        return max(self._patience, LEAST_SECONDS)

    def no_primary(self, reason: str = _Tried.reason) -> NightsafeError:
        """Return the refusal of a read that no primary has answered in time."""
        return no_primary(self._patience, reason)

    async def run(self, work: "Callable[[Connection], Awaitable[T]]", seconds: float) -> T:
        """Return the result of work, and repeat it in another connection after a failure that will pass.

        Raises:
            NightsafeError: as `Store` specifies for every read; NO_PRIMARY, when no primary has answered in time.
        """
        while True:
            try:
                return await self._run(work, seconds)
            except NightsafeError as error:
                if not await is_tried_again(error):
                    raise

    async def _run(self, work: "Callable[[Connection], Awaitable[T]]", seconds: float) -> T:
        """Return the result of work, with a patience of one time."""
        patience, tried = self.patience, _Tried()
        deadline = self._loop.time() + patience
        try:
            async with asyncio.timeout(patience if seconds <= STALL_SECONDS else patience + seconds):
                return await self._repeat(work, seconds, deadline, tried)
        except TimeoutError as error:
            raise self.no_primary(tried.reason) from error

    async def _repeat(
        self, work: "Callable[[Connection], Awaitable[T]]", seconds: float, deadline: float, tried: "_Tried"
    ) -> T:
        """Return the result of work; repeat it in another connection after failures that will pass."""
        while True:
            try:
                return await self._try(work, seconds)
            except FAILURES as error:
                if not will_pass(error):
                    raise store_error(error) from error
                tried.reason = reason_of(error)
                if self._loop.time() >= deadline:
                    raise TimeoutError from error
            tried.times += 1
            await asyncio.sleep(pause_after(tried.times))

    async def _try(self, work: "Callable[[Connection], Awaitable[T]]", seconds: float) -> T:
        """Do the work once."""
        async with self._room:
            if self._closed:
                raise NightsafeError(Code.STORE, "the store is closed")
            db = self._idle.pop() if self._idle else None
            try:
                async with asyncio.timeout(seconds):
                    if db is None or db.is_closed():
                        db = await self._connect()
                    drops = self._drops
                    result = await work(db)
            except BaseException as error:
                if db is not None:
                    db.terminate()
                if will_pass(error):
                    self.drop()
                raise
            if drops == self._drops:
                self._idle.append(db)
            else:
                db.terminate()
            return result

    def drop(self) -> None:
        """Give the connections up after their present reads, because their server may not be the primary any more."""
        self._drops += 1
        while self._idle:
            self._idle.pop().terminate()

    async def close(self) -> None:
        """Refuse every later read, and close the connections."""
        self._closed = True
        while self._idle:
            db = self._idle.pop()
            try:
                async with asyncio.timeout(1):
                    await db.close()
            except FAILURES:
                db.terminate()


class _LookUp(NamedTuple):
    """A caller that waits for the row of a key: the future of the row, and when the caller came."""

    future: "asyncio.Future[Any]"
    since: float


class LookUps:
    """Look-ups by key that share a statement: those that wait while one is executed go together in the next.

    One timer ends the waits that last longer than the reader's patience, because a timer for each would cost as much
    as the rest of a look-up.

    Args:
        reader: executes the statements.
        sql: a statement whose parameters are an array of numbers and then an array for each part of the key. The
            first column of its rows is the number of the key.
    """

    def __init__(self, reader: Reader, sql: str) -> None:
        self._reader = reader
        self._sql = sql
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[tuple[Any, ...], list[_LookUp]] = {}
        self._asked: dict[tuple[Any, ...], list[_LookUp]] = {}
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def find(self, *key: object) -> Any:
        """Return the row of a key without its number, or None.

        A text with a surrogate is in no row. In a statement, it would fail the look-ups of others.
        """
        if any(isinstance(part, str) and not _is_storable(part) for part in key):
            return None
        while True:
            look_up = _LookUp(self._loop.create_future(), self._loop.time())
            self._waiting.setdefault(key, []).append(look_up)
            if self._task is None:
                self._task = self._loop.create_task(self._run())
            if self._timer is None:
                self._timer = self._loop.call_later(self._reader.patience, self._end_long_waits)
            try:
                return await look_up.future
            except NightsafeError as error:
                if not await is_tried_again(error):
                    raise

    async def _run(self) -> None:
        """Execute statements while look-ups wait."""
        try:
            while self._waiting:
                with suppress(NightsafeError):
                    await self._answer()
        finally:
            self._task = self._loop.create_task(self._run()) if self._waiting else None

    async def _answer(self) -> None:
        """Answer all look-ups that wait now."""
        asked, self._asked, self._waiting = self._waiting, self._waiting, {}
        try:
            rows = await self._reader.all(self._sql, range(len(asked)), *columns(asked))
        except BaseException as error:
            for look_up in chain(*asked.values()):
                _fail(look_up.future, error)
            raise
        finally:
            self._asked = {}
        found = {row[0]: row[1:] for row in rows}
        for number, look_ups in enumerate(asked.values()):
            row = found.get(number)
            for look_up in look_ups:
                if not look_up.future.done():
                    look_up.future.set_result(row)

    def _end_long_waits(self) -> None:
        """Refuse the look-ups that have waited for the patience, and come again for the others."""
        end, still = self._loop.time() - self._reader.patience, list[float]()
        for look_up in chain(*self._asked.values(), *self._waiting.values()):
            if look_up.since > end:
                still.append(look_up.since)
            else:
                _fail(look_up.future, self._reader.no_primary())
        self._timer = self._loop.call_later(min(still) - end, self._end_long_waits) if still else None


def _is_storable(text: str) -> bool:
    """Return whether a text can be stored."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _fail(future: "asyncio.Future[Any]", error: BaseException) -> None:
    """Answer a look-up with an error, as an object of its own."""
    if not future.done():
        future.set_exception(NightsafeError.of(error.problems) if isinstance(error, NightsafeError) else error)
        future.exception()  # a caller that was cancelled does not take it
