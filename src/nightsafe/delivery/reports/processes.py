"""Tells the API which scripts are not served as they were deployed, and why, so that their owners see it there."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Final

from nightsafe.bundle.processes import HeldScript, HeldScriptsReport, ScriptProblem, WaitingScript
from nightsafe.delivery.keep_running import keep_running
from nightsafe.delivery.source.bundle_source import BundleSource
from nightsafe.delivery.workerd.supervisor import Supervisor
from nightsafe.errors import NightsafeError

_REPEAT_SECONDS: Final = 10.0
"""How often to report while there is anything to report: an API that was restarted has forgotten the last report."""
_MOST_SCRIPTS: Final = 1000


class Reporter:
    """Reports each change, and reports again from time to time while there is anything to report.

    Args:
        source: receives the reports.
        supervisor: knows which scripts are held apart.
        waiting: the scripts that wait for an approval, by name; it changes.
        refused: the scripts whose newest state is refused or cannot be served, by name; it changes.
        unopened: returns the scripts that are served with a value that does not open.
    """

    def __init__(
        self,
        source: BundleSource,
        supervisor: Supervisor,
        waiting: Mapping[str, WaitingScript] = MappingProxyType({}),
        refused: Mapping[str, ScriptProblem] = MappingProxyType({}),
        unopened: Callable[[], Iterable[ScriptProblem]] = tuple,
    ) -> None:
        self._waiting: Final = waiting
        self._refused: Final = refused
        self._unopened: Final = unopened
        self._source: Final = source
        self._supervisor: Final = supervisor
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start to report."""
        self._task = asyncio.create_task(keep_running("report", self._run))

    async def stop(self) -> None:
        """Stop reporting."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def watch(self) -> None:
        """Wait until reporting ends, and raise the error that ended it."""
        assert self._task is not None  # noqa: S101 - called only after `start`
        await asyncio.wait({self._task})
        self._task.result()

    async def _run(self) -> None:
        """Report for ever; repeat a report that the API did not accept."""
        due = False
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_REPEAT_SECONDS if due else None):
                    await self._supervisor.changed.wait()
            self._supervisor.changed.clear()
            holds = self._supervisor.holds.current()
            held = tuple(
                HeldScript(script=script, until=hold.until, reason=hold.reason) for script, hold in holds.items()
            )
            waiting = tuple(self._waiting.values())[:_MOST_SCRIPTS]
            # In the order of names, a problem of all scripts comes first.
            refused = (self._refused[name] for name in sorted(self._refused))
            problems = (*refused, *self._unopened())[:_MOST_SCRIPTS]
            due = bool(held or waiting or problems)
            try:
                await self._source.report(HeldScriptsReport(held, waiting, problems))
            except NightsafeError:
                due = True
