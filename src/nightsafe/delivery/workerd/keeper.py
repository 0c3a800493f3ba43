"""Keeps one workerd running on one listening socket."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Final

import structlog

from nightsafe.delivery.lasting import lasting
from nightsafe.delivery.workerd.child import Child
from nightsafe.delivery.workerd.limits import Limits
from nightsafe.delivery.workerd.probe import Probe
from nightsafe.delivery.workerd.settling import settling
from nightsafe.errors import NightsafeError

_log = structlog.get_logger()

_FREED_SECONDS: Final = 1.0
"""How long memory takes to be free that was let go of."""

Make = Callable[[], Child]
Overdue = Callable[[Child, Probe], Awaitable[bool]]
"""Is told of a process that computes and does not answer. Gives whether another has to take its place while it goes
on; when not, it has answered meanwhile, or was killed."""

Ended = Callable[[Child, int], Awaitable[None]]
"""Is told of a process that has ended, with its exit code."""

Overgrown = Callable[[Child], Awaitable[None]]
"""Is told of a process that holds half as much again as it may."""

Retire = Callable[[Child], Coroutine[None, None, None]]
Told = Callable[[], Awaitable[None]]
"""Is told of something that has come to pass."""


class Keeper:
    """A workerd that is always there: started anew when it ends, killed when it is stuck, replaced when too large.

    Args:
        make: makes a process that is not started yet.
        limits: when to step in.
        overdue: what to do about one that computes for too long.
        ended: is told of one that has ended.
        renewed: is told when another has taken its place.
        retire: ends one whose place another has taken; by default `end`.
        overgrown: what to do about one that holds half as much again as it may; by default, replace it.
        probed: is told when one has answered a probe.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what can come to pass with a process
        self,
        make: Make,
        limits: Limits,
        overdue: Overdue,
        ended: Ended | None = None,
        renewed: Told | None = None,
        retire: Retire | None = None,
        overgrown: Overgrown | None = None,
        probed: Told | None = None,
    ) -> None:
        self._make = make
        self._limits: Final = limits
        self._overdue = overdue
        self._ended = ended
        self._renewed = renewed
        self._retire = retire or self.end
        self._overgrown = overgrown
        self._probed = probed
        self.children: Final[list[Child]] = []
        """All that have not ended: the current one last."""
        self._current: Child | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._keeping: asyncio.Task[None] | None = None
        self._shed_at: float | None = None
        self._outdated: Final = asyncio.Event()
        self.restarts = 0

    @property
    def current(self) -> Child:
        """The one that takes new requests."""
        assert self._current is not None  # noqa: S101 - only of a started one
        return self._current

    @property
    def up(self) -> bool:
        """Whether there is one that takes requests."""
        return self._current is not None and self._current.alive

    async def start(self) -> None:
        """Start a process, and watch it from then on.

        Raises:
            NightsafeError: UNAVAILABLE, when it does not start.
        """
        self._current = await self._launch()
        self._keeping = self._spawn(lasting(f"keep {self._current.part}", self._keep))

    async def stop(self) -> None:
        """End every process, at once those that do not end by themselves; one that was replaced is ending already."""
        if self._keeping is not None:
            self._keeping.cancel()
        current = [] if self._current is None else [self.end(self._current)]
        await asyncio.gather(*self._tasks, *current, return_exceptions=True)

    def renew(self) -> None:
        """Have another process take the place of the current one, which finishes what it has begun."""
        self._outdated.set()

    async def watch(self) -> None:
        """Return when the process is watched no longer, or raise what has ended that: it must not be left at that."""
        assert self._keeping is not None  # noqa: S101 - only of a started one
        await asyncio.wait({self._keeping})
        self._keeping.result()

    async def end(self, child: Child) -> None:
        """End a process gently, then not."""
        try:
            async with asyncio.timeout(self._limits.drain_seconds), settling(child.admin):
                child.terminate()
                await child.wait()
        except TimeoutError:
            await child.kill()
        finally:
            if child in self.children:
                self.children.remove(child)

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run something beside, for as long as this runs."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _launch(self) -> Child:
        """A new process, that listens. It is told of changes from its beginning."""
        self._outdated.clear()
        child = self._make()
        self.children.append(child)
        try:
            await child.start()
        except BaseException:
            self.children.remove(child)
            raise
        _log.info("workerd.started", pid=child.pid, part=child.part)
        return child

    async def _keep(self) -> None:
        """Watch the current process, and see to it that there is one."""
        while True:
            child = self.current
            began = time.monotonic()
            replaced = await self._watch(child)
            if not replaced:
                await self._over(child)
                if time.monotonic() - began < self._limits.pause_seconds:
                    await asyncio.sleep(self._limits.pause_seconds)
            self._current = await self._relaunch()
            if replaced:
                self._spawn(self._retire(child))
            if self._renewed is not None:
                await self._renewed()

    async def _over(self, child: Child) -> None:
        """A process has ended. Of one that was seen to before, there is nothing more to say."""
        code = await child.wait()
        if child not in self.children:
            return
        self.children.remove(child)
        self.restarts += 1
        _log.warning("workerd.ended", pid=child.pid, part=child.part, code=code)
        if self._ended is not None:
            await self._ended(child, code)

    async def _relaunch(self) -> Child:
        """A new process, however often it takes."""
        while True:
            try:
                return await self._launch()
            except NightsafeError as error:
                _log.error("workerd.not_started", reason=error.problems[0].detail)
                await asyncio.sleep(self._limits.pause_seconds)

    async def _watch(self, child: Child) -> bool:
        """Return when a process has to be replaced: True when it still serves, False when it has ended."""
        ended = asyncio.create_task(child.wait())
        outdated = asyncio.create_task(self._outdated.wait())
        first = asyncio.FIRST_COMPLETED
        try:
            while not ended.done():
                await asyncio.wait({ended, outdated}, timeout=self._limits.probe_seconds, return_when=first)
                if not ended.done() and (await self._is_busy(child) or await self._is_too_large(child)):
                    return True
                if not ended.done() and outdated.done():
                    return True
            return False
        finally:
            ended.cancel()
            outdated.cancel()

    async def _is_busy(self, child: Child) -> bool:
        """Ask a process whether it is well; True when it computes and another has to take its place."""
        probe = Probe(child)
        try:
            if await probe.answered(cpu=self._limits.busy_cpu_seconds, idle=self._limits.idle_seconds):
                if self._probed is not None:
                    await self._probed()
                return False
            if probe.used > self._limits.busy_cpu_seconds:
                return await self._overdue(child, probe)
            _log.warning("workerd.stuck", pid=child.pid, part=child.part)
            await child.kill()
            return False
        finally:
            await probe.end()

    async def _is_too_large(self, child: Child) -> bool:
        """Let a process that has grown too large let go of its scripts; True when that has not helped.

        One that lets go costs no request: each script is loaded anew at its next one.
        """
        if child.resident_bytes() <= self._limits.resident_bytes:
            self._shed_at = None
            return False
        if self._shed_at is None:
            _log.warning("workerd.too_large", pid=child.pid, part=child.part, bytes=child.resident_bytes())
            self._shed_at = time.monotonic()
            with suppress(NightsafeError):  # it is busy, or has ended: that is seen elsewhere
                await child.push("/shed", b"")
        since = time.monotonic() - self._shed_at
        overgrown = since > _FREED_SECONDS and child.resident_bytes() > self._limits.overgrown_bytes
        if overgrown and self._overgrown is not None:
            await self._overgrown(child)
            return False
        if since < self._limits.shed_seconds:
            return False
        self._shed_at = None
        return True
