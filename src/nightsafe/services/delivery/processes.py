"""Delivery processes, and the scripts that they hold apart because these took a process down.

It is kept in memory, by the API process that is told, for as long as a process asks for changes.
"""

import datetime as dt
import time
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from nightsafe.bundle.processes import HeldScript, Report
from nightsafe.errors import Code, Problem
from nightsafe.services.delivery.change_feed import ChangeFeed, Who
from nightsafe.store.scripts import ScriptRef


class Process(Struct, frozen=True, kw_only=True):
    """One delivery process.

    Attributes:
        name: what it calls itself.
        acted_on: number of the log entry up to which it has acted.
        asked_seconds: how long ago it asked for changes.
        reseals: whether its credential may seal values anew after a rotation of keys.
        held: scripts that it holds apart at this moment.
    """

    name: str
    acted_on: int
    asked_seconds: float
    reseals: bool
    held: tuple[HeldScript, ...]


class Processes:
    """The use cases.

    Args:
        change_feed: knows who follows the log.
        clock: seconds since 1970.
    """

    def __init__(self, change_feed: ChangeFeed, clock: Callable[[], float] = time.time) -> None:
        self._change_feed: Final = change_feed
        self._clock: Final = clock
        self._reports: Final[dict[tuple[str, Who], tuple[HeldScript, ...]]] = {}
        self._resealing: Final[dict[tuple[str, Who], bool]] = {}

    def report(self, account_id: str, who: Who, report: Report) -> None:
        """A process tells what it holds apart."""
        self._forget()
        if report.held:
            self._reports[account_id, who] = report.held
        else:
            self._reports.pop((account_id, who), None)

    def asks(self, account_id: str, who: Who, *, reseals: bool) -> None:
        """A process asks for changes, with a credential that may seal anew or may not."""
        self._resealing[account_id, who] = reseals

    def list(self, account_id: str) -> Sequence[Process]:
        """The processes that deliver an account's scripts."""
        self._forget()
        return [
            Process(
                name=one.who[1],
                acted_on=one.acted_on,
                asked_seconds=one.ago,
                reseals=self._resealing.get((account_id, one.who), False),
                held=self._held(account_id, one.who),
            )
            for one in self._change_feed.present(account_id)
        ]

    def held(self, account_id: str, script: str) -> HeldScript | None:
        """How a script is held apart, for the longest by any process; None when it is not."""
        if not self._reports:
            return None
        found = [
            one
            for account, who in tuple(self._reports)
            if account == account_id
            for one in self._held(account_id, who)
            if one.script == script
        ]
        return max(found, key=lambda one: one.until, default=None)

    def notices(self, ref: ScriptRef) -> tuple[Problem, ...]:
        """What an answer about a script has to say: that it is held apart, if it is."""
        held = None if ref.namespace or not ref.name else self.held(ref.account_id, ref.name)
        if held is None:
            return ()
        until = dt.datetime.fromtimestamp(held.until, dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        sentence = (
            f"'{ref.name}' is held apart until {until} and answers 503: {held.reason}. Its next version is let in"
        )
        return (Problem(Code.HELD, sentence),)

    def _held(self, account_id: str, who: Who) -> tuple[HeldScript, ...]:
        """What a process holds apart at this moment."""
        now = self._clock()
        return tuple(one for one in self._reports.get((account_id, who), ()) if one.until > now)

    def _forget(self) -> None:
        """Forget what processes told that do not ask any more, and what is over."""
        for account_id, who in tuple(self._reports):
            present = {one.who for one in self._change_feed.present(account_id)}
            if who not in present or not self._held(account_id, who):
                del self._reports[account_id, who]
        for account_id, who in tuple(self._resealing):
            if who not in {one.who for one in self._change_feed.present(account_id)}:
                del self._resealing[account_id, who]
