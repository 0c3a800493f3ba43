"""Reseals values after a rotation: opens values under older keys, seals them to the primary key, returns them.

It runs in the background and leaves time for the rest: after each batch it rests for as long as the batch took. It
stores no progress, because the API does not list finished values again; so it can be stopped at any moment.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final, Protocol

import structlog
from msgspec import Struct

from nightsafe.bundle.resealing import NewValue, NewValues, OldValue, OldValues, ResealingResult
from nightsafe.delivery.key_rotation.resealed_value import BatchSealer, RingOpener, reseal_value
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.rings.private_ring import PrivateRing

_log = structlog.get_logger()

_IDLE_SECONDS: Final = 30.0
_LONGEST_IDLE: Final = 3600.0
_POLL_SECONDS: Final = 1.0
_NOT_HERE: Final = (
    "this process does not reseal values under older keys after a rotation; run nightsafe keys reseal instead"
)


class ResealingSource(Protocol):
    """The part of the API that resealing uses."""

    async def old_values(self, after: str) -> OldValues:
        """Return a page of the values under older keys.

        Args:
            after: `next` of the previous page, or "" for the first.

        Raises:
            NightsafeError: NOT_PERMITTED, when the API does not let this caller reseal; UNAVAILABLE, when it
                cannot be reached.
        """
        ...

    async def store(self, values: NewValues) -> ResealingResult:
        """Return resealed values to the API.

        Raises:
            NightsafeError: as `old_values`; INVALID, when the ring has changed meanwhile.
        """
        ...


class Progress(Struct, frozen=True, kw_only=True):
    """The progress of one pass.

    Attributes:
        waiting: how many values there were to reseal at its start.
        resealed: how many were resealed and stored.
        changed: how many had been replaced by then.
        unopened: how many do not open, or were not signed for their place. They stay as they are.
    """

    waiting: int = 0
    resealed: int = 0
    changed: int = 0
    unopened: int = 0

    def plus(self, other: "Progress") -> "Progress":
        """Return the sum of two passes."""
        return Progress(
            waiting=self.waiting + other.waiting,
            resealed=self.resealed + other.resealed,
            changed=self.changed + other.changed,
            unopened=self.unopened + other.unopened,
        )


class Resealer:
    """Reseals the values of one account.

    Args:
        account_id: the account.
        source: provides the old values and takes the new ones.
        opener: opens the values; it has the private ring.
        rest: how long to rest after a batch, as a multiple of the time that it took.
        idle_seconds: seconds to wait before looking again when there was nothing to do.
    """

    def __init__(
        self,
        account_id: str,
        source: ResealingSource,
        opener: RingOpener,
        *,
        rest: float = 1.0,
        idle_seconds: float = _IDLE_SECONDS,
    ) -> None:
        self._account_id: Final = account_id
        self._source: Final = source
        self._opener: Final = opener
        self._rest: Final = rest
        self._idle_seconds: Final = idle_seconds
        self._warned_for: PrivateRing | None = None
        self.progress = Progress()
        self.on_resealed: Callable[[], None] = lambda: None
        """Called after a pass of `run` that has resealed values."""

    async def run(self) -> None:
        """Look for values under older keys for ever, and wait longer after each pass that achieved nothing.

        If the API does not let this process reseal, the log says so at the start and after each rotation, and the
        process asks again after the longest wait: the task may belong to another process, or to no process at all.
        """
        pause = self._idle_seconds
        while True:
            try:
                progress = await self.run_once()
                if progress.resealed:
                    self.on_resealed()
                pause = (
                    min(pause * 2, _LONGEST_IDLE)
                    if progress.unopened and not progress.resealed
                    else self._idle_seconds
                )
            except NightsafeError as error:
                pause = self._handle_failure(error, pause)
            await self._idle(pause)

    def _handle_failure(self, error: NightsafeError, pause: float) -> float:
        """Log why a pass has failed; return the seconds to wait before the next."""
        reason = error.problems[0].detail
        if error.code is not Code.NOT_PERMITTED:
            _log.error("resealing.failed", reason=reason)
            return min(pause * 2, _LONGEST_IDLE)
        ring = self._opener.ring
        if ring is not self._warned_for:
            self._warned_for = ring
            _log.warning("resealing.not_here", reason=f"{reason}: {_NOT_HERE}")
        return _LONGEST_IDLE

    async def _idle(self, seconds: float) -> None:
        """Wait before looking again, but only until the private ring changes."""
        ring, end = self._opener.ring, time.monotonic() + seconds
        left = seconds
        while left >= 0 and self._opener.ring is ring:
            await asyncio.sleep(min(left, _POLL_SECONDS))
            left = end - time.monotonic()

    async def run_once(self, report: Callable[[Progress], None] = lambda _: None) -> Progress:
        """Make one pass over all values under older keys.

        Args:
            report: receives the progress after each batch.

        Raises:
            NightsafeError: UNAVAILABLE, NOT_PERMITTED or INVALID; values stored until then stay resealed.
        """
        self.progress = Progress()
        after = ""
        while True:
            began = time.monotonic()
            old = await self._source.old_values(after)
            if old.waiting is not None:
                self.progress = Progress(waiting=old.waiting)
            if not old.values:
                break
            await self._reseal_batch(old)
            report(self.progress)
            after = old.next
            await asyncio.sleep((time.monotonic() - began) * self._rest)
        self._log_result()
        return self.progress

    async def _reseal_batch(self, old: OldValues) -> None:
        """Reseal some values and return them to the API."""
        new, batch = [], BatchSealer()
        try:
            for value in old.values:
                sealed = self._reseal(value, old.primary, batch)
                if sealed is not None:
                    new.append(sealed)
                await asyncio.sleep(0)  # each value occupies the interpreter for a third of a millisecond
        finally:
            batch.forget()
        stored = ResealingResult(resealed=0, changed=0, refused=0)
        if new:
            stored = await self._source.store(NewValues(tuple(new)))
        before = self.progress
        self.progress = Progress(
            waiting=before.waiting,
            resealed=before.resealed + stored.resealed,
            changed=before.changed + stored.changed,
            unopened=before.unopened + stored.refused + len(old.values) - len(new),
        )

    def _reseal(self, value: OldValue, primary: str, batch: BatchSealer) -> NewValue | None:
        """Reseal a value; if it does not open, log its place, leave it as it is and return None."""
        try:
            return reseal_value(self._account_id, value, primary, self._opener, batch)
        except NightsafeError as error:
            if error.code is not Code.CANNOT_OPEN:
                raise
            _log.error(
                "resealing.not_opened",
                namespace=value.namespace,
                script=value.script,
                name=value.name,
                mark=value.mark,
            )
            return None

    def _log_result(self) -> None:
        """Log the result of a pass, if it had anything to do."""
        progress = self.progress
        if progress != Progress():
            _log.info(
                "resealing.done", resealed=progress.resealed, changed=progress.changed, unopened=progress.unopened
            )
