"""Seals values anew after a rotation: opens what lies under older keys, seals it to the primary, hands it back.

It runs beside everything else and leaves room: after each batch it rests for as long as the batch took. It keeps
nothing of how far it has come, for what is done does not come up again; so it may be ended at any moment.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final, Protocol

import structlog
from msgspec import Struct

from nightsafe.bundle.resealing import NewValue, NewValues, OldValue, OldValues, Stored
from nightsafe.delivery.key_rotation.resealed_value import reseal_value
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.interfaces import NamedOpener
from nightsafe.sealing.rings.private_ring import PrivateRing

_log = structlog.get_logger()

_IDLE_SECONDS: Final = 30.0
_LONGEST_IDLE: Final = 3600.0
_LOOK_SECONDS: Final = 1.0
_NOT_HERE: Final = (
    "after a rotation this process leaves values under older keys as they are; let nightsafe keys reseal do it"
)


class ResealingSource(Protocol):
    """The API, as whoever seals anew sees it."""

    async def old_values(self, after: str) -> OldValues:
        """Values under older keys, from where the ones before say.

        Raises:
            NightsafeError: NOT_PERMITTED, when the API does not let this one seal anew; UNAVAILABLE, when it cannot
                be reached.
        """
        ...

    async def store(self, values: NewValues) -> Stored:
        """Hand back what was sealed anew.

        Raises:
            NightsafeError: as `old_values`; INVALID, when the ring has changed meanwhile.
        """
        ...


class RingOpener(NamedOpener, Protocol):
    """Opens with a ring that can be looked at."""

    @property
    def ring(self) -> PrivateRing:
        """The ring as it is now."""
        ...


class Progress(Struct, frozen=True, kw_only=True):
    """How far one pass has come.

    Attributes:
        waiting: how many values there were at its beginning.
        resealed: how many were stored anew.
        changed: how many had others in their place by then.
        unopened: how many do not open, or were not signed for their place. They stay as they are.
    """

    waiting: int = 0
    resealed: int = 0
    changed: int = 0
    unopened: int = 0

    def plus(self, other: "Progress") -> "Progress":
        """Of two passes together."""
        return Progress(
            waiting=self.waiting + other.waiting,
            resealed=self.resealed + other.resealed,
            changed=self.changed + other.changed,
            unopened=self.unopened + other.unopened,
        )


class Resealer:
    """Seals the values of one account anew.

    Args:
        account_id: whose.
        source: gives and takes them.
        opener: opens them; it has the private ring.
        rest: for how many times as long as a batch took to rest after it.
        idle_seconds: how long to wait before looking again when there was nothing.
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
        self._told_of: PrivateRing | None = None
        self.progress = Progress()

    async def run(self) -> None:
        """Look for values under older keys for ever. A pass that got nowhere makes the next one wait longer.

        Where the API does not let this one seal anew, that is said at the start and after each rotation, and asked
        again as seldom as can be: it may be somebody else's task, or nobody's.
        """
        pause = self._idle_seconds
        while True:
            try:
                done = await self.run_once()
                pause = min(pause * 2, _LONGEST_IDLE) if done.unopened and not done.resealed else self._idle_seconds
            except NightsafeError as error:
                pause = self._failed(error, pause)
            await self._idle(pause)

    def _failed(self, error: NightsafeError, pause: float) -> float:
        """Log why a pass has failed; gives how long to wait before the next."""
        reason = error.problems[0].detail
        if error.code is not Code.NOT_PERMITTED:
            _log.error("resealing.failed", reason=reason)
            return min(pause * 2, _LONGEST_IDLE)
        ring = self._opener.ring
        if ring is not self._told_of:
            self._told_of = ring
            _log.warning("resealing.not_here", reason=f"{reason}: {_NOT_HERE}")
        return _LONGEST_IDLE

    async def _idle(self, seconds: float) -> None:
        """Wait before looking again; no longer than until the private ring is another one."""
        ring, end = self._opener.ring, time.monotonic() + seconds
        left = seconds
        while left >= 0 and self._opener.ring is ring:
            await asyncio.sleep(min(left, _LOOK_SECONDS))
            left = end - time.monotonic()

    async def run_once(self, tell: Callable[[Progress], None] = lambda _: None) -> Progress:
        """One pass over all that there is.

        Args:
            tell: is told how far it has come, after each batch.

        Raises:
            NightsafeError: UNAVAILABLE, NOT_PERMITTED or INVALID; what was done until then is done.
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
            await self._batch(old)
            tell(self.progress)
            after = old.next
            await asyncio.sleep((time.monotonic() - began) * self._rest)
        self._conclude()
        return self.progress

    async def _batch(self, old: OldValues) -> None:
        """Seal some values anew and hand them back."""
        new = []
        for value in old.values:
            sealed = self._sealed(value, old.primary)
            if sealed is not None:
                new.append(sealed)
            await asyncio.sleep(0)  # each holds the interpreter for a third of a millisecond
        stored = Stored(resealed=0, changed=0, refused=0)
        if new:
            stored = await self._source.store(NewValues(tuple(new)))
        before = self.progress
        self.progress = Progress(
            waiting=before.waiting,
            resealed=before.resealed + stored.resealed,
            changed=before.changed + stored.changed,
            unopened=before.unopened + stored.refused + len(old.values) - len(new),
        )

    def _sealed(self, value: OldValue, primary: str) -> NewValue | None:
        """A value sealed anew; None when it does not open, which is logged with its place and stays so."""
        try:
            return reseal_value(self._account_id, value, primary, self._opener, self._opener.ring)
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

    def _conclude(self) -> None:
        """Say what came of a pass that had anything to do."""
        done = self.progress
        if done != Progress():
            _log.info("resealing.done", resealed=done.resealed, changed=done.changed, unopened=done.unopened)
