"""Ships the entries of the audit log to a sink, behind the writers and in order, each entry at least once.

The shipper reads what is committed and moves the sink's position only after the sink has accepted a batch. A process
that dies in between sends the batch again. Requests never wait for it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from msgspec import Struct

from nightsafe.audit.sinks.in_thread import in_daemon_thread
from nightsafe.audit.sinks.position import Mark, Position
from nightsafe.audit.sinks.sender import Sender, reason_of
from nightsafe.audit.sinks.shipment import Shipped, shipped, time_of
from nightsafe.store.interface import Store
from nightsafe.store.turns import PART, turn

_log = structlog.get_logger()

_MICROSECONDS: Final = 1_000_000


class Pace(Struct, frozen=True, kw_only=True):
    """The sizes and pauses of a shipper.

    Attributes:
        max_entries: most entries in a batch.
        max_bytes: most bytes of entries in a batch; one entry is sent even if it is larger.
        gather_seconds: pause after a batch, in which entries gather for the next.
        first_pause: seconds before the first new attempt after a failure; each further pause doubles.
        longest_pause: the longest such pause in seconds.
        idle_seconds: longest wait for a commit; another process's commit is noticed meanwhile.
        lock_seconds: pause between two attempts to lock the position.
        late_seconds: age of the oldest unsent entry from which the sink is late.
    """

    max_entries: int = 500
    max_bytes: int = 1 << 20
    gather_seconds: float = 0.2
    first_pause: float = 0.1
    longest_pause: float = 30.0
    idle_seconds: float = 5.0
    lock_seconds: float = 2.0
    late_seconds: float = 60.0


class Lag(Struct, frozen=True):
    """How far a sink is behind the log.

    Attributes:
        sink: the sink's name.
        unsent: number of entries that the sink has not accepted.
        oldest_unsent_seconds: age of the oldest of them; 0 without any.
    """

    sink: str
    unsent: int
    oldest_unsent_seconds: float


class Shipper:
    """Ships the log to one sink.

    Args:
        name: the sink's name.
        sender: brings batches to the sink.
        position: the sink's position.
        store: has the log.
        pace: sizes and pauses.
        clock: returns the time in seconds since 1970 UTC.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of a shipper
        self,
        name: str,
        sender: Sender,
        position: Position,
        store: Store,
        pace: Pace | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name: Final = name
        self._sender: Final = sender
        self._position: Final = position
        self._store: Final = store
        self._pace: Final = pace or Pace()
        self._clock: Final = clock
        self._stopping: Final = asyncio.Event()
        self._mark: Mark | None = None
        self._batch_size = self._pace.max_entries
        self._failure = ""
        self._is_late = False

    async def run(self) -> None:
        """Ship until `stop` is called; then ship what is left and return."""
        while self._mark is None:
            if self._position.try_lock():
                self._mark = await self._first_mark()
            elif self._stopping.is_set():
                return
            else:  # another server of the same safe ships to this sink
                await self._pause(self._pace.lock_seconds)
        pause = self._pace.first_pause
        while True:
            generation = self._store.generation()
            batch = await self._next_batch(self._mark.seq)
            if not batch:
                if self._stopping.is_set():
                    return
                await self._wait_for(self._store.changed(generation, self._pace.idle_seconds))
            elif await self._ship(batch):
                pause = self._pace.first_pause
                await self._pause(self._pace.gather_seconds)
            elif self._stopping.is_set():
                return
            else:
                await self._pause(pause)
                pause = min(2 * pause, self._pace.longest_pause)

    def stop(self) -> None:
        """Let `run` return as soon as everything is shipped or the next attempt has failed."""
        self._stopping.set()

    def reopen(self) -> None:
        """Open the sink again before the next batch."""
        self._sender.reopen()

    async def lag(self) -> Lag:
        """Return how far the sink is behind the log."""
        mark = self._mark or self._position.read()
        oldest = await self._store.audit_entries_of_all_accounts(mark.seq, 1)
        if not oldest:
            return Lag(self.name, 0, 0.0)
        unsent = await self._store.last_audit_number() - oldest[0][0] + 1
        age = max(0.0, self._clock() - time_of(oldest[0][1]) / _MICROSECONDS)  # clocks can be set back
        return Lag(self.name, unsent, round(age, 3))

    async def _first_mark(self) -> Mark:
        """Return the stored position if this log has its entry; otherwise the beginning of the log."""
        mark = self._position.read()
        if mark.seq == 0:
            return Mark()
        if [mark.leaf] == [leaf.hex() for leaf in await self._store.log_hashes(0, mark.seq - 1, 1)]:
            return mark
        _log.warning("audit_sink.started_over", sink=self.name, reason="its position belongs to another log")
        return Mark()

    async def _next_batch(self, after: int) -> list[Shipped]:
        """Return the entries after a number, a part at a time, so that requests run in between."""
        batch: list[Shipped] = []
        size = 0
        while len(batch) < self._batch_size and size < self._pace.max_bytes:
            limit = min(PART, self._batch_size - len(batch))
            rows = await self._store.audit_entries_of_all_accounts(after, limit, self._pace.max_bytes - size)
            batch += [shipped(number, entry) for number, entry in rows]
            size += sum(len(entry.entry) for _, entry in rows)
            if len(rows) < limit:
                break
            after = rows[-1][0]
            await turn()
        return batch

    async def _ship(self, batch: list[Shipped]) -> bool:
        """Send a batch and move the position. Return whether the sink accepted it.

        After a failure the batches are halved, because the sink may not accept large ones.
        """
        last = Mark(batch[-1].number, batch[-1].leaf.hex())

        def work() -> None:
            """In a thread, send the batch and store the position."""
            self._sender.send(batch)
            self._position.write(last)

        try:
            await in_daemon_thread(work)
        except OSError as error:
            self._batch_size = max(1, len(batch) // 2)
            self._note_failure(reason_of(error))
            await self._note_age()
            return False
        self._mark = last
        self._batch_size = min(2 * self._batch_size, self._pace.max_entries)
        if self._failure:
            self._failure = ""
            _log.info("audit_sink.accepts", sink=self.name)
        await self._note_age()
        return True

    def _note_failure(self, reason: str) -> None:
        """Log a failure, unless the attempt before failed for the same reason."""
        if reason != self._failure:
            self._failure = reason
            _log.warning("audit_sink.failed", sink=self.name, reason=reason)

    async def _note_age(self) -> None:
        """Log once that the sink is late, and once that it is well again."""
        age = (await self.lag()).oldest_unsent_seconds
        if (age > self._pace.late_seconds) == self._is_late:
            return
        self._is_late = not self._is_late
        if self._is_late:
            _log.warning("audit_sink.late", sink=self.name, oldest_unsent_seconds=round(age))
        else:
            _log.info("audit_sink.well", sink=self.name)

    async def _pause(self, seconds: float) -> None:
        """Wait for some seconds, or until `stop` is called."""
        await self._wait_for(asyncio.sleep(seconds))

    async def _wait_for(self, work: Awaitable[None]) -> None:
        """Wait until a task ends or `stop` is called."""
        tasks = {asyncio.ensure_future(work), asyncio.ensure_future(self._stopping.wait())}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
