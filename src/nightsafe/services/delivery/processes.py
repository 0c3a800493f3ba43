"""Lists delivery processes, and the scripts that they do not serve as they were deployed.

The API process that receives the reports keeps them in memory, for as long as the delivery process asks for changes,
and shares them with the other API processes of the server, if there are any.
"""

import datetime as dt
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from msgspec import Struct

from nightsafe.bundle.processes import HeldScript, HeldScriptsReport, ScriptProblem, WaitingScript
from nightsafe.errors import Code, Problem
from nightsafe.services.delivery.change_feed import ChangeFeed
from nightsafe.services.delivery.siblings import ProcessId, Report, Siblings
from nightsafe.store.scripts import ScriptRef

_Key = tuple[str, ProcessId]
"""Identifies a delivery process and the account that it follows."""


class Process(Struct, frozen=True, kw_only=True):
    """One delivery process.

    Attributes:
        name: the name that it gives itself.
        acted_on: number of the log entry up to which it has acted.
        seconds_since_request: seconds since its last request for changes.
        reseals: whether its credential has the permission to reseal values after a key rotation.
        held: the scripts that it holds apart at this moment.
        waiting: the scripts whose newest deployment it does not serve without an approval.
        problems: the scripts whose newest state it refuses or cannot serve.
    """

    name: str
    acted_on: int
    seconds_since_request: float
    reseals: bool
    held: tuple[HeldScript, ...]
    waiting: tuple[WaitingScript, ...] = ()
    problems: tuple[ScriptProblem, ...] = ()


class Processes:
    """The use cases of delivery processes' reports.

    Args:
        change_feed: knows the connected processes.
        clock: seconds since 1970 UTC.
        siblings: the other API processes of this server.
    """

    def __init__(
        self,
        change_feed: ChangeFeed,
        clock: Callable[[], float] = time.time,
        siblings: Siblings | None = None,
    ) -> None:
        self._change_feed: Final = change_feed
        self._clock: Final = clock
        self._siblings: Final = siblings or Siblings()
        self._siblings_version = 0
        self._reports: Final[dict[_Key, Report]] = {}
        self._resealing: Final[dict[_Key, Report]] = {}
        for report in self._siblings.own.reports:
            self._take(report)

    def record_report(self, account_id: str, process_id: ProcessId, report: HeldScriptsReport) -> None:
        """Record which scripts a process does not serve as they were deployed."""
        self._remove_stale_reports()
        self._record(
            Report(
                account_id=account_id,
                process_id=process_id,
                at=time.monotonic(),
                held=report.held,
                waiting=report.waiting,
                problems=report.problems,
            )
        )

    def record_request(self, account_id: str, process_id: ProcessId, *, reseals: bool) -> None:
        """Record a request for changes, and whether its credential has the permission to reseal values."""
        known = self._resealing.get((account_id, process_id))
        if known is None or known.reseals != reseals:
            self._record(Report(account_id=account_id, process_id=process_id, at=time.monotonic(), reseals=reseals))

    def list(self, account_id: str) -> Sequence[Process]:
        """Return the processes that deliver an account's scripts."""
        self._remove_stale_reports()
        return [
            Process(
                name=present.process_id[1],
                acted_on=present.acted_on,
                seconds_since_request=present.seconds_since_request,
                reseals=self._may_reseal(account_id, present.process_id),
                held=self._held_scripts(account_id, present.process_id),
                waiting=self._waiting_scripts(account_id, present.process_id),
                problems=self._problems(account_id, present.process_id),
            )
            for present in self._change_feed.present(account_id)
        ]

    def held_script(self, account_id: str, script: str) -> HeldScript | None:
        """Return how a script is held apart, or None if it is not.

        If several processes hold it apart, return the one that does so for the longest time.
        """
        self._merge()
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

    def waiting_script(self, account_id: str, script: str) -> WaitingScript | None:
        """Return how a script waits for an approval, or None if it does not."""
        if self._reports:
            self._remove_stale_reports()
        self._merge()
        return next(
            (
                waiting
                for account, process_id in tuple(self._reports)
                if account == account_id
                for waiting in self._waiting_scripts(account_id, process_id)
                if waiting.script == script
            ),
            None,
        )

    def notices(self, ref: ScriptRef) -> tuple[Problem, ...]:
        """Return notices if a script is held apart or waits for an approval, for an answer about that script."""
        if ref.namespace or not ref.name:
            return ()
        return (*self._held_notices(ref), *self._waiting_notices(ref))

    def _waiting_notices(self, ref: ScriptRef) -> Iterator[Problem]:
        """Yield a notice if a script waits for an approval."""
        waiting = self.waiting_script(ref.account_id, ref.name)
        if waiting is not None:
            serving = f"serving version {', '.join(waiting.serving)}" if waiting.serving else "answering 503"
            sentence = f"'{ref.name}' is waiting for approval of version {', '.join(waiting.versions)}: {serving}"
            commands = " and ".join(f"nightsafe approve {ref.name} {version}" for version in waiting.versions)
            yield Problem(Code.WAITING, f"{sentence}. To approve it, run: {commands}")

    def _held_notices(self, ref: ScriptRef) -> tuple[Problem, ...]:
        """Return a notice if a script is held apart."""
        held = self.held_script(ref.account_id, ref.name)
        if held is None:
            return ()
        until = dt.datetime.fromtimestamp(held.until, dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        sentence = (
            f"'{ref.name}' is held apart until {until} and answers 503: {held.reason}. "
            "Its next version is served at once"
        )
        return (Problem(Code.HELD, sentence),)

    def _record(self, report: Report) -> None:
        """Record a report, and let the other API processes know."""
        self._take(report)
        if self._siblings.exist:
            own = self._siblings.own
            own.reports = (*(before for before in own.reports if self._is_needed(before, report)), report)
            self._siblings.publish()

    def _is_needed(self, report: Report, newer: Report) -> bool:
        """Tell whether an earlier report still counts: its process is connected and has not replaced it."""
        replaced = (report.account_id, report.process_id) == (newer.account_id, newer.process_id)
        if replaced and (report.held is None) == (newer.held is None):
            return False
        return any(
            process.process_id == report.process_id for process in self._change_feed.present(report.account_id)
        )

    def _merge(self) -> None:
        """Take in the reports that other API processes have received."""
        version = self._siblings.refresh()
        if version == self._siblings_version:
            return
        self._siblings_version = version
        for state in (self._siblings.own, *self._siblings.states):
            for report in state.reports:
                self._take(report)

    def _take(self, report: Report) -> None:
        """Take in a report, unless a newer one of the same process and kind is known."""
        key = (report.account_id, report.process_id)
        reports = self._resealing if report.held is None else self._reports
        if key not in reports or reports[key].at < report.at:
            reports[key] = report

    def _may_reseal(self, account_id: str, process_id: ProcessId) -> bool:
        """Return whether a process's credential has the permission to reseal values."""
        report = self._resealing.get((account_id, process_id))
        return report is not None and bool(report.reseals)

    def _held_scripts(self, account_id: str, process_id: ProcessId) -> tuple[HeldScript, ...]:
        """Return the scripts that a process holds apart at this moment."""
        report, now = self._reports.get((account_id, process_id)), self._clock()
        return () if report is None else tuple(held for held in report.held or () if held.until > now)

    def _waiting_scripts(self, account_id: str, process_id: ProcessId) -> tuple[WaitingScript, ...]:
        """Return the scripts that wait for an approval at a process."""
        report = self._reports.get((account_id, process_id))
        return () if report is None else report.waiting

    def _problems(self, account_id: str, process_id: ProcessId) -> tuple[ScriptProblem, ...]:
        """Return the scripts whose newest state a process refuses or cannot serve."""
        report = self._reports.get((account_id, process_id))
        return () if report is None else report.problems

    def _remove_stale_reports(self) -> None:
        """Discard the reports of disconnected processes, and expired ones."""
        self._merge()
        for account_id, process_id in tuple(self._reports):
            present = {process.process_id for process in self._change_feed.present(account_id)}
            is_empty = not (
                self._held_scripts(account_id, process_id)
                or self._waiting_scripts(account_id, process_id)
                or self._problems(account_id, process_id)
            )
            if process_id not in present or is_empty:
                del self._reports[account_id, process_id]
        for account_id, process_id in tuple(self._resealing):
            if process_id not in {process.process_id for process in self._change_feed.present(account_id)}:
                del self._resealing[account_id, process_id]
