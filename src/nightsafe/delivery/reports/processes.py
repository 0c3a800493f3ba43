"""Tells the API which scripts are held apart, so that those who look there learn why they are answered with 503."""

import asyncio
from contextlib import suppress
from typing import Final

from nightsafe.bundle.processes import HeldScript, Report
from nightsafe.delivery.lasting import lasting
from nightsafe.delivery.source.bundle_source import BundleSource
from nightsafe.delivery.workerd.supervisor import Supervisor
from nightsafe.errors import NightsafeError

_AGAIN_SECONDS: Final = 10.0
"""After which what is still held is told again: an API that was started anew has forgotten it."""


class Reporter:
    """Reports at each change, and from time to time while anything is held.

    Args:
        source: whom to tell.
        supervisor: knows what is held.
    """

    def __init__(self, source: BundleSource, supervisor: Supervisor) -> None:
        self._source: Final = source
        self._supervisor: Final = supervisor
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to report."""
        self._task = asyncio.create_task(lasting("report", self._run))

    async def stop(self) -> None:
        """Report no longer."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def watch(self) -> None:
        """Return when it reports no longer, or raise what has ended it."""
        assert self._task is not None  # noqa: S101 - only of a started one
        await asyncio.wait({self._task})
        self._task.result()

    async def _run(self) -> None:
        """Report, for ever; what the API does not take is told again."""
        owed = False
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_AGAIN_SECONDS if owed else None):
                    await self._supervisor.changed.wait()
            self._supervisor.changed.clear()
            holds = self._supervisor.holds.held()
            held = tuple(
                HeldScript(script=script, until=hold.until, reason=hold.reason) for script, hold in holds.items()
            )
            owed = bool(held)
            try:
                await self._source.report(Report(held=held))
            except NightsafeError:
                owed = True
