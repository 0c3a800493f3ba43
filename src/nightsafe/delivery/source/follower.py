"""Follows the source's changes: fetches, checks and keeps changed bundles, and tells workerd about them."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection
from typing import Final

import structlog

from nightsafe.delivery.cache.bundle_cache import BundleCache, Held, refusals
from nightsafe.delivery.cache.module_cache import ModuleCache
from nightsafe.delivery.lasting import lasting
from nightsafe.delivery.source.bundle_source import BundleSource
from nightsafe.errors import Code, NightsafeError

_log = structlog.get_logger()

_AT_ONCE: Final = 8
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 3.0
_AT_ONCE_AGAIN: Final = (0.05, 0.1, 0.2, 0.4)
"""Pauses between attempts to fetch a bundle. Together they are longer than a write waits for an acknowledgement."""

Tell = Callable[[Held], Awaitable[None]]


class Follower:
    """Keeps a bundle cache in step with the source.

    Args:
        source: the source to follow.
        bundle_cache: receives good bundles.
        contents: receives the contents of their modules.
        tell: tells workerd how to serve a script from now on.
    """

    def __init__(self, source: BundleSource, bundle_cache: BundleCache, contents: ModuleCache, tell: Tell) -> None:
        self._source = source
        self._bundle_cache = bundle_cache
        self._contents = contents
        self._tell = tell
        self._cursor = ""
        self._again: set[str] = set()
        self._untold: dict[str, Held] = {}
        self._owed = asyncio.Event()
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._environments = asyncio.Semaphore(_AT_ONCE)
        self._tasks: list[asyncio.Task[None]] = []
        self.knows_all = False
        self.problems: dict[str, tuple[str, ...]] = {}
        """By script, the reasons why its newest state is not served; under "", reasons that concern all scripts."""

    def start(self) -> None:
        """Start to follow the source."""
        tasks = {"follow": self._follow, "retry": self._retry}
        self._tasks = [asyncio.create_task(lasting(name, work)) for name, work in tasks.items()]

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
        return self.knows_all and script not in self._again

    async def fetch(self, script: str) -> None:
        """Get a script's bundle and serve it.

        Raises:
            NightsafeError: UNAVAILABLE, when the source cannot be reached or workerd had to be killed; CANNOT_OPEN or
                INVALID, when the bundle is refused. The previous bundle then stays in service.
        """
        async with self._turns[script]:
            floor = self._bundle_cache.floor()
            bundle = self._bundle_cache.admit(script, await self._source.bundle(script), floor)
            if bundle is None:
                return
            reasons = refusals(bundle)
            if not reasons:
                for version in bundle.versions:
                    await self._contents.of(version)
            self._note(script, reasons or tuple(map(_behind, bundle.behind)))
            if (held := self._bundle_cache.put(bundle)) is not None:
                self._untold[script] = held
            await self._tell_of(script)

    async def _tell_of(self, script: str) -> None:
        """Tell workerd how to serve a script, unless it knows. After a failure, the next call tells it again."""
        if script in self._untold:
            await self._tell(self._untold[script])
            del self._untold[script]

    async def _follow(self) -> None:
        """Request changes and act on them for ever."""
        pause = _FIRST_PAUSE
        while True:
            try:
                changes = await self._source.changes(self._cursor, wait="" not in self.problems)
            except NightsafeError as error:
                self._note("", (error.problems[0].detail,))
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
                continue
            pause = _FIRST_PAUSE
            self._note("", ("the database was put back to an older state",) if changes.rolled_back else ())
            scripts = {*changes.scripts, *self._bundle_cache.scripts()} if changes.whole else set(changes.scripts)
            await self._act_on(scripts)
            self._cursor = changes.cursor
            self.knows_all = True
            self._contents.keep_only(self._bundle_cache.digests())

    async def _act_on(self, scripts: Collection[str]) -> None:
        """Fetch scripts, and try again a few times if the source is unavailable.

        The next request for changes acknowledges these scripts, so it waits for the attempts.
        """
        for pause in (*_AT_ONCE_AGAIN, 0.0):
            codes = await asyncio.gather(*map(self._act, scripts))
            scripts = [script for script, code in zip(scripts, codes, strict=True) if code is Code.UNAVAILABLE]
            if not scripts:
                return
            await asyncio.sleep(pause)

    async def _act(self, script: str) -> Code | None:
        """Fetch a script; note a failure so that it is tried again later, and return its code."""
        try:
            async with self._environments:
                await self.fetch(script)
        except NightsafeError as error:
            self._again.add(script)
            self._owed.set()
            self._note(script, (error.problems[0].detail,))
            return error.code
        self._again.discard(script)
        return None

    async def _retry(self) -> None:
        """Fetch the scripts that failed again, less and less often."""
        pause = _FIRST_PAUSE
        while True:
            await self._owed.wait()
            await asyncio.sleep(pause)
            codes = await asyncio.gather(*map(self._act, tuple(self._again)))
            pause = min(pause * 2, _LONGEST_PAUSE) if any(codes) else _FIRST_PAUSE
            if not self._again:
                self._owed.clear()

    def _note(self, script: str, reasons: tuple[str, ...]) -> None:
        """Remember the problems of a script, and log them if they have changed."""
        if reasons == self.problems.get(script, ()):
            return
        if not reasons:
            del self.problems[script]
            _log.info("delivery.well_again", script=script)
            return
        self.problems[script] = reasons
        for reason in reasons:
            _log.error("delivery.problem", script=script, reason=reason)


def _behind(reason: str) -> str:
    """Return why a script's last good deployment is served instead of its newest."""
    return f"{reason}: the last deployment that can be served stays in service"
