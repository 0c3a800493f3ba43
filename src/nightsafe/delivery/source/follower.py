"""Follows the source's changes: fetches, checks and keeps changed bundles, and tells workerd about them."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import Final

import structlog

from nightsafe.bundle.model import Bundle
from nightsafe.bundle.processes import ScriptProblem, WaitingScript
from nightsafe.delivery.cache.bundle_cache import BundleCache, ServedScript, refusals
from nightsafe.delivery.cache.module_cache import ModuleCache
from nightsafe.delivery.keep_running import keep_running
from nightsafe.delivery.source.bundle_source import BundleSource
from nightsafe.delivery.source.log_check import LogCheck
from nightsafe.errors import Code, NightsafeError

_log = structlog.get_logger()

_MAX_FETCHES: Final = 8
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 3.0
_RETRY_PAUSES: Final = (0.05, 0.1, 0.2, 0.4)
"""Pauses between attempts to fetch a bundle. Together they are longer than a write waits for an acknowledgement."""

SendRoute = Callable[[ServedScript], Awaitable[None]]


class Follower:
    """Keeps a bundle cache in step with the source.

    Args:
        source: the source to follow.
        bundle_cache: receives good bundles.
        module_cache: receives the contents of their modules.
        send_route: tells workerd how to serve a script from now on.
        log_check: checks that the log has only grown.
    """

    def __init__(
        self,
        source: BundleSource,
        bundle_cache: BundleCache,
        module_cache: ModuleCache,
        send_route: SendRoute,
        log_check: LogCheck,
    ) -> None:
        self._source = source
        self._bundle_cache = bundle_cache
        self._module_cache = module_cache
        self._send_route = send_route
        self._log_check = log_check
        self._cursor = ""
        self._failed: set[str] = set()
        self._unsent: dict[str, ServedScript] = {}
        self._retry_needed = asyncio.Event()
        self._rules_changed = asyncio.Event()
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._semaphore = asyncio.Semaphore(_MAX_FETCHES)
        self._tasks: list[asyncio.Task[None]] = []
        self.knows_all = False
        self.problems: dict[str, tuple[str, ...]] = {}
        """By script, the reasons why its newest state is not served; under "", reasons that concern all scripts."""
        self.waiting: dict[str, WaitingScript] = {}
        """The scripts whose newest deployment waits for an approval, by name."""
        self.refused: dict[str, ScriptProblem] = {}
        """The problems that are not about approvals, as they are reported, by script."""
        self.tell_reporter: Callable[[], None] = lambda: None
        """Called when `waiting` or `refused` has changed."""

    def start(self) -> None:
        """Start to follow the source."""
        tasks = {"follow": self._follow, "retry": self._retry, "approvers": self._apply_rules}
        self._tasks = [asyncio.create_task(keep_running(name, coroutine)) for name, coroutine in tasks.items()]

    async def stop(self) -> None:
        """Stop following the source."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def watch(self) -> None:
        """Wait until following ends, and raise the error that ended it. The process must not go on without it."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    def knows(self, script: str) -> bool:
        """Return whether the process knows how to serve a script, or that there is no such script."""
        return self.knows_all and script not in self._failed

    def reload_rules(self) -> None:
        """Read the approvers file again, stop serving what is no longer approved, and fetch every script again."""
        if self._bundle_cache.gate is not None:
            self._bundle_cache.gate.reload()
            self._rules_changed.set()

    async def fetch(self, script: str) -> None:
        """Get a script's bundle and serve it.

        Raises:
            NightsafeError: UNAVAILABLE, when the source cannot be reached or workerd had to be killed; CANNOT_OPEN or
                INVALID, when the bundle or the log is refused. The previous bundle then stays in service.
        """
        async with self._locks[script]:
            floor = self._bundle_cache.floor()
            data = await self._source.bundle(script, self._bundle_cache.wanted(script))
            bundle = self._bundle_cache.admit(script, data, floor)
            await self._log_check.cover(bundle.serial)
            if not self._bundle_cache.take(bundle):
                return
            reasons = refusals(bundle)
            if not reasons:
                for version in bundle.versions:
                    await self._module_cache.contents_of(version)
            if (served := self._bundle_cache.put(bundle)) is not None:
                self._unsent[script] = served
            await self._send_unsent_route(script)
            reasons = reasons or tuple(map(_stale_reason, bundle.behind)) or self._without_rule(bundle)
            self._set_problems(script, reasons, self._waiting_reasons(bundle))

    def _without_rule(self, bundle: Bundle) -> tuple[str, ...]:
        """Return a reason why the versions of a script that wait cannot be approved, if that is so."""
        gate = self._bundle_cache.gate
        return (
            tuple(filter(None, [gate.refusal_reason(bundle.script)])) if gate is not None and bundle.waiting else ()
        )

    def _waiting_reasons(self, bundle: Bundle) -> tuple[str, ...]:
        """Remember which versions of a script wait for an approval; return it as a reason for the log."""
        served, script = self._bundle_cache.get(bundle.script), bundle.script
        serving = tuple(load.version.id for load in served.loads) if served else ()
        before = self.waiting.pop(script, None)
        waits = bool(bundle.waiting) and not self._without_rule(bundle)
        if waits:
            self.waiting[script] = WaitingScript(script=script, versions=bundle.waiting, serving=serving)
        if before != self.waiting.get(script):
            self.tell_reporter()
        if not waits:
            return ()
        instead = f"the version {', '.join(serving)} stays in service" if serving else "requests get 503"
        commands = " and ".join(f"nightsafe approve {script} {version}" for version in bundle.waiting)
        return (f"version {', '.join(bundle.waiting)}: waits for approval; {instead}; run: {commands}",)

    def fetch_value_approvals(self) -> None:
        """Fetch each script again whose approvals cover values, because its values may have been resealed."""
        gate = self._bundle_cache.gate
        if gate is not None:
            self._failed.update(filter(gate.covers_values, self._bundle_cache.scripts()))
            if self._failed:
                self._retry_needed.set()

    async def _send_unsent_route(self, script: str) -> None:
        """Tell workerd how to serve a script, unless it knows. After a failure, the next call tells it again."""
        if script in self._unsent:
            await self._send_route(self._unsent[script])
            del self._unsent[script]

    async def _follow(self) -> None:
        """Request changes and act on them for ever."""
        pause = _FIRST_PAUSE
        while True:
            try:
                changes = await self._source.changes(self._cursor, wait="" not in self.problems)
                await self._log_check.check()
            except NightsafeError as error:
                self._set_problems("", (error.problems[0].detail,))
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
                continue
            pause = _FIRST_PAUSE
            self._set_problems("", ("the database was put back to an older state",) if changes.rolled_back else ())
            scripts = {*changes.scripts, *self._bundle_cache.scripts()} if changes.whole else set(changes.scripts)
            await self._fetch_all(scripts)
            self._cursor = changes.cursor
            self.knows_all = True
            self._module_cache.keep_only(self._bundle_cache.digests())

    async def _fetch_all(self, scripts: Collection[str]) -> None:
        """Fetch scripts, and try again a few times if the source is unavailable.

        The next request for changes acknowledges these scripts, so it waits for the attempts.
        """
        for pause in (*_RETRY_PAUSES, 0.0):
            codes = await asyncio.gather(*map(self._try_fetch, scripts))
            scripts = [script for script, code in zip(scripts, codes, strict=True) if code is Code.UNAVAILABLE]
            if not scripts:
                return
            await asyncio.sleep(pause)

    async def _try_fetch(self, script: str) -> Code | None:
        """Fetch a script; note a failure so that it is tried again later, and return its code."""
        try:
            async with self._semaphore:
                await self.fetch(script)
        except NightsafeError as error:
            self._failed.add(script)
            self._retry_needed.set()
            self._set_problems(script, (error.problems[0].detail,))
            return error.code
        self._failed.discard(script)
        return None

    async def _apply_rules(self) -> None:
        """After each change of the approvers file, stop serving what is not approved, and fetch all scripts again."""
        while True:
            await self._rules_changed.wait()
            self._rules_changed.clear()
            self._unsent |= {served.bundle.script: served for served in self._bundle_cache.withdraw_unapproved()}
            for script in tuple(self._unsent):
                with suppress(NightsafeError):  # workerd was killed, and asks for the routes when it is back
                    async with self._locks[script]:
                        await self._send_unsent_route(script)
            self._failed.update(self._bundle_cache.scripts())
            self._retry_needed.set()

    async def _retry(self) -> None:
        """Fetch the scripts that failed again, less and less often."""
        pause = _FIRST_PAUSE
        while True:
            await self._retry_needed.wait()
            await asyncio.sleep(pause)
            codes = await asyncio.gather(*map(self._try_fetch, tuple(self._failed)))
            pause = min(pause * 2, _LONGEST_PAUSE) if any(codes) else _FIRST_PAUSE
            if not self._failed:
                self._retry_needed.clear()

    def _set_problems(self, script: str, reasons: tuple[str, ...], waiting: tuple[str, ...] = ()) -> None:
        """Remember the problems of a script, and log and report them if they have changed.

        Args:
            script: the script; "" for all.
            reasons: why its newest state is refused or cannot be served.
            waiting: why it waits for an approval.
        """
        before = self.refused.pop(script, None)
        if reasons:
            self.refused[script] = ScriptProblem.of(script, reasons)
        if before != self.refused.get(script):
            self.tell_reporter()
        reasons += waiting
        if reasons == self.problems.get(script, ()):
            return
        if not reasons:
            del self.problems[script]
            _log.info("delivery.well_again", script=script)
            return
        self.problems[script] = reasons
        for reason in reasons:
            _log.error("delivery.problem", script=script, reason=reason)


def _stale_reason(reason: str) -> str:
    """Return why a script's last good deployment is served instead of its newest."""
    return f"{reason}: the last deployment that can be served stays in service"
