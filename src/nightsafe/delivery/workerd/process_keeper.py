"""Keeps one workerd running on one listening socket."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Final

import structlog

from nightsafe.delivery.keep_running import keep_running
from nightsafe.delivery.workerd.child import Child
from nightsafe.delivery.workerd.finish_work import finish_work
from nightsafe.delivery.workerd.limits import Limits
from nightsafe.delivery.workerd.probe import Probe
from nightsafe.errors import NightsafeError

_log = structlog.get_logger()

_FREED_SECONDS: Final = 1.0
"""How long it takes until dropped memory is free."""

ChildFactory = Callable[[], Child]
OnOverdue = Callable[[Child, Probe], Awaitable[bool]]
"""Called with a process that computes and does not answer. Returns whether another must replace it while it goes on;
if not, the process has answered meanwhile or was killed."""

OnEnded = Callable[[Child, int], Awaitable[None]]
"""Called with a process that has ended and its exit code."""

OnOvergrown = Callable[[Child], Awaitable[None]]
"""Called with a process that holds one and a half times the memory that it may."""

Retire = Callable[[Child], Coroutine[None, None, None]]
Notify = Callable[[], Awaitable[None]]
"""Called when something has happened."""


class Keeper:
    """Keeps one workerd running: restarts it when it ends, kills it when stuck, and replaces it when too large.

    Args:
        make_child: makes a process that is not started yet.
        limits: the limits of the process.
        on_overdue: handles a process that computes for too long.
        on_ended: called when a process has ended.
        on_renewed: called when another process has taken the current one's place.
        retire: ends a process that was replaced; by default `end`.
        on_overgrown: handles a process that holds one and a half times the memory that it may; by default, it is
            replaced.
        on_probed: called when a process has answered a probe.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what can come to pass with a process
        self,
        make_child: ChildFactory,
        limits: Limits,
        on_overdue: OnOverdue,
        on_ended: OnEnded | None = None,
        on_renewed: Notify | None = None,
        retire: Retire | None = None,
        on_overgrown: OnOvergrown | None = None,
        on_probed: Notify | None = None,
    ) -> None:
        self._make_child = make_child
        self._limits: Final = limits
        self._on_overdue = on_overdue
        self._on_ended = on_ended
        self._on_renewed = on_renewed
        self._retire = retire or self.end
        self._on_overgrown = on_overgrown
        self._on_probed = on_probed
        self.children: Final[list[Child]] = []
        """All processes that have not ended, the current one last."""
        self._current: Child | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._keep_task: asyncio.Task[None] | None = None
        self._shed_at: float | None = None
        self._outdated: Final = asyncio.Event()
        self.restarts = 0

    @property
    def current(self) -> Child:
        """The process that takes new requests."""
        assert self._current is not None  # noqa: S101 - called only after `start`
        return self._current

    @property
    def up(self) -> bool:
        """Whether a process takes requests."""
        return self._current is not None and self._current.alive

    async def start(self) -> None:
        """Start a process, and watch it from then on.

        Raises:
            NightsafeError: UNAVAILABLE, when the process does not start.
        """
        self._current = await self._launch()
        self._keep_task = self._spawn(keep_running(f"keep {self._current.part}", self._keep_current))

    async def stop(self) -> None:
        """End every process, and kill those that do not end in time. Replaced processes are ending already."""
        if self._keep_task is not None:
            self._keep_task.cancel()
        current = [] if self._current is None else [self.end(self._current)]
        await asyncio.gather(*self._tasks, *current, return_exceptions=True)

    def renew(self) -> None:
        """Replace the current process by a new one. The old one finishes its requests."""
        self._outdated.set()

    async def watch(self) -> None:
        """Wait until supervision ends, and raise the error that ended it. The caller must not go on without it."""
        assert self._keep_task is not None  # noqa: S101 - called only after `start`
        await asyncio.wait({self._keep_task})
        self._keep_task.result()

    async def end(self, child: Child) -> None:
        """Let a process finish its work, and kill it if that takes too long."""
        try:
            async with asyncio.timeout(self._limits.drain_seconds), finish_work(child.admin):
                child.terminate()
                await child.wait()
        except TimeoutError:
            await child.kill()
        finally:
            if child in self.children:
                self.children.remove(child)

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run a task in the background until `stop`."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _launch(self) -> Child:
        """Start a process and wait until it listens. It is told of changes from its start."""
        self._outdated.clear()
        child = self._make_child()
        self.children.append(child)
        try:
            await child.start()
        except BaseException:
            self.children.remove(child)
            raise
        _log.info("workerd.started", pid=child.pid, part=child.part)
        return child

    async def _keep_current(self) -> None:
        """Watch the current process, and start another when it ends or must be replaced."""
        while True:
            child = self.current
            began = time.monotonic()
            replaced = await self._wait_for_replacement(child)
            if not replaced:
                await self._handle_end(child)
                if time.monotonic() - began < self._limits.pause_seconds:
                    await asyncio.sleep(self._limits.pause_seconds)
            self._current = await self._relaunch()
            if replaced:
                self._spawn(self._retire(child))
            if self._on_renewed is not None:
                await self._on_renewed()

    async def _handle_end(self, child: Child) -> None:
        """Handle the end of a process, unless it was handled before."""
        code = await child.wait()
        if child not in self.children:
            return
        self.children.remove(child)
        self.restarts += 1
        _log.warning("workerd.ended", pid=child.pid, part=child.part, code=code)
        if self._on_ended is not None:
            await self._on_ended(child, code)

    async def _relaunch(self) -> Child:
        """Start a process, and try again until that succeeds."""
        while True:
            try:
                return await self._launch()
            except NightsafeError as error:
                _log.error("workerd.not_started", reason=error.problems[0].detail)
                await asyncio.sleep(self._limits.pause_seconds)

    async def _wait_for_replacement(self, child: Child) -> bool:
        """Wait until a process has to be replaced; return True if it still serves, False if it has ended."""
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
        """Probe a process; return True if it computes and another must replace it."""
        probe = Probe(child)
        try:
            if await probe.wait_for_answer(cpu=self._limits.busy_cpu_seconds, idle=self._limits.idle_seconds):
                if self._on_probed is not None:
                    await self._on_probed()
                return False
            if probe.cpu_used > self._limits.busy_cpu_seconds:
                return await self._on_overdue(child, probe)
            _log.warning("workerd.stuck", pid=child.pid, part=child.part)
            await child.kill()
            return False
        finally:
            await probe.end()

    async def _is_too_large(self, child: Child) -> bool:
        """Make a process that is too large drop its scripts; return True if that has not helped.

        No request is lost by this: the process loads each script again at its next request.
        """
        if child.resident_bytes() <= self._limits.resident_bytes:
            self._shed_at = None
            return False
        if self._shed_at is None:
            _log.warning("workerd.too_large", pid=child.pid, part=child.part, bytes=child.resident_bytes())
            self._shed_at = time.monotonic()
            with suppress(NightsafeError):  # it is busy, or has ended: other checks notice that
                await child.push("/shed", b"")
        since = time.monotonic() - self._shed_at
        overgrown = since > _FREED_SECONDS and child.resident_bytes() > self._limits.overgrown_bytes
        if overgrown and self._on_overgrown is not None:
            await self._on_overgrown(child)
            return False
        if since < self._limits.shed_seconds:
            return False
        self._shed_at = None
        return True
