"""Lists delivery processes, and the scripts that they hold apart because the scripts took a process down.

The API process that receives the reports keeps them in memory, for as long as the delivery process asks for changes.
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
        name: the name that it gives itself.
        acted_on: number of the log entry up to which it has acted.
        asked_seconds: seconds since its last request for changes.
        reseals: whether its credential has the permission to re-encrypt values after a key rotation.
        held: the scripts that it holds apart at this moment.
    """

    name: str
    acted_on: int
    asked_seconds: float
    reseals: bool
    held: tuple[HeldScript, ...]


class Processes:
    """The use cases of delivery processes' reports.

    Args:
        change_feed: knows the connected processes.
        clock: seconds since 1970 UTC.
    """

    def __init__(self, change_feed: ChangeFeed, clock: Callable[[], float] = time.time) -> None:
        self._change_feed: Final = change_feed
        self._clock: Final = clock
        self._reports: Final[dict[tuple[str, Who], tuple[HeldScript, ...]]] = {}
        self._resealing: Final[dict[tuple[str, Who], bool]] = {}

    def report(self, account_id: str, who: Who, report: Report) -> None:
        """Record which scripts a process holds apart."""
        self._forget()
        if report.held:
            self._reports[account_id, who] = report.held
        else:
            self._reports.pop((account_id, who), None)

    def asks(self, account_id: str, who: Who, *, reseals: bool) -> None:
        """Record a request for changes, and whether its credential has the permission to re-encrypt values."""
        self._resealing[account_id, who] = reseals

    def list(self, account_id: str) -> Sequence[Process]:
        """Return the processes that deliver an account's scripts."""
        self._forget()
        return [
            Process(
                name=present.who[1],
                acted_on=present.acted_on,
                asked_seconds=present.ago,
                reseals=self._resealing.get((account_id, present.who), False),
                held=self._held(account_id, present.who),
            )
            for present in self._change_feed.present(account_id)
        ]

    def held(self, account_id: str, script: str) -> HeldScript | None:
        """Return how a script is held apart, or None if it is not.

        If several processes hold it apart, return the one that does so for the longest time.
        """
        if not self._reports:
            return None
        found = [
            held
            for account, who in tuple(self._reports)
            if account == account_id
            for held in self._held(account_id, who)
            if held.script == script
        ]
        return max(found, key=lambda held: held.until, default=None)

    def notices(self, ref: ScriptRef) -> tuple[Problem, ...]:
        """Return a notice if a script is held apart, for an answer about that script."""
        held = None if ref.namespace or not ref.name else self.held(ref.account_id, ref.name)
        if held is None:
            return ()
        until = dt.datetime.fromtimestamp(held.until, dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        sentence = (
            f"'{ref.name}' is held apart until {until} and answers 503: {held.reason}. "
            "Its next version is served at once"
        )
        return (Problem(Code.HELD, sentence),)

    def _held(self, account_id: str, who: Who) -> tuple[HeldScript, ...]:
        """Return the scripts that a process holds apart at this moment."""
        now = self._clock()
        return tuple(held for held in self._reports.get((account_id, who), ()) if held.until > now)

    def _forget(self) -> None:
        """Discard the reports of disconnected processes, and expired ones."""
        for account_id, who in tuple(self._reports):
            present = {process.who for process in self._change_feed.present(account_id)}
            if who not in present or not self._held(account_id, who):
                del self._reports[account_id, who]
        for account_id, who in tuple(self._resealing):
            if who not in {process.who for process in self._change_feed.present(account_id)}:
                del self._resealing[account_id, who]
