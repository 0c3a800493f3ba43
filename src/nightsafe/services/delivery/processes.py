"""Lists delivery processes, and the scripts that they hold apart because the scripts took a process down.

The API process that receives the reports keeps them in memory, for as long as the delivery process asks for changes.
"""

import datetime as dt
import time
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from nightsafe.bundle.processes import HeldScript, HeldScriptsReport
from nightsafe.errors import Code, Problem
from nightsafe.services.delivery.change_feed import ChangeFeed, ProcessId
from nightsafe.store.scripts import ScriptRef


class Process(Struct, frozen=True, kw_only=True):
    """One delivery process.

    Attributes:
        name: the name that it gives itself.
        acted_on: number of the log entry up to which it has acted.
        seconds_since_request: seconds since its last request for changes.
        reseals: whether its credential has the permission to reseal values after a key rotation.
        held: the scripts that it holds apart at this moment.
    """

    name: str
    acted_on: int
    seconds_since_request: float
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
        self._reports: Final[dict[tuple[str, ProcessId], tuple[HeldScript, ...]]] = {}
        self._resealing: Final[dict[tuple[str, ProcessId], bool]] = {}

    def record_report(self, account_id: str, process_id: ProcessId, report: HeldScriptsReport) -> None:
        """Record which scripts a process holds apart."""
        self._remove_stale_reports()
        if report.held:
            self._reports[account_id, process_id] = report.held
        else:
            self._reports.pop((account_id, process_id), None)

    def record_request(self, account_id: str, process_id: ProcessId, *, reseals: bool) -> None:
        """Record a request for changes, and whether its credential has the permission to reseal values."""
        self._resealing[account_id, process_id] = reseals

    def list(self, account_id: str) -> Sequence[Process]:
        """Return the processes that deliver an account's scripts."""
        self._remove_stale_reports()
        return [
            Process(
                name=present.process_id[1],
                acted_on=present.acted_on,
                seconds_since_request=present.seconds_since_request,
                reseals=self._resealing.get((account_id, present.process_id), False),
                held=self._held_scripts(account_id, present.process_id),
            )
            for present in self._change_feed.present(account_id)
        ]

    def held_script(self, account_id: str, script: str) -> HeldScript | None:
        """Return how a script is held apart, or None if it is not.

        If several processes hold it apart, return the one that does so for the longest time.
        """
        if not self._reports:
            return None
        held_scripts = [
            held
            for account, process_id in tuple(self._reports)
            if account == account_id
            for held in self._held_scripts(account_id, process_id)
            if held.script == script
        ]
        return max(held_scripts, key=lambda held: held.until, default=None)

    def notices(self, ref: ScriptRef) -> tuple[Problem, ...]:
        """Return a notice if a script is held apart, for an answer about that script."""
        held = None if ref.namespace or not ref.name else self.held_script(ref.account_id, ref.name)
        if held is None:
            return ()
        until = dt.datetime.fromtimestamp(held.until, dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        sentence = (
            f"'{ref.name}' is held apart until {until} and answers 503: {held.reason}. "
            "Its next version is served at once"
        )
        return (Problem(Code.HELD, sentence),)

    def _held_scripts(self, account_id: str, process_id: ProcessId) -> tuple[HeldScript, ...]:
        """Return the scripts that a process holds apart at this moment."""
        now = self._clock()
        return tuple(held for held in self._reports.get((account_id, process_id), ()) if held.until > now)

    def _remove_stale_reports(self) -> None:
        """Discard the reports of disconnected processes, and expired ones."""
        for account_id, process_id in tuple(self._reports):
            present = {process.process_id for process in self._change_feed.present(account_id)}
            if process_id not in present or not self._held_scripts(account_id, process_id):
                del self._reports[account_id, process_id]
        for account_id, process_id in tuple(self._resealing):
            if process_id not in {process.process_id for process in self._change_feed.present(account_id)}:
                del self._resealing[account_id, process_id]
