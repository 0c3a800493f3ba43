"""Keeps a workerd running: started anew when it ends, killed when it hangs, replaced when it has grown too large."""

import asyncio
import socket
import time
from collections.abc import Callable, Collection, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog
from msgspec import Struct

from nightsafe.delivery.child import Child, Lines
from nightsafe.errors import NightsafeError

_log = structlog.get_logger()


class Limits(Struct, frozen=True, kw_only=True):
    """When to step in.

    Attributes:
        probe_seconds: between two looks at the process.
        hang_cpu_seconds: CPU time that it may use up without answering a probe. A busy machine lets it wait, but an
            endless loop runs.
        hang_seconds: how long it may not answer, whatever the reason.
        resident_bytes: memory past which it is replaced.
        drain_seconds: how long one that is replaced may take to finish its requests.
        pause_seconds: before it is started anew when it has only just been started.
    """

    probe_seconds: float = 0.25
    hang_cpu_seconds: float = 1.0
    hang_seconds: float = 15.0
    resident_bytes: int = 3 << 30
    drain_seconds: float = 30.0
    pause_seconds: float = 0.5


class Supervisor:
    """A workerd that is always there, on sockets that stay open.

    Args:
        binary: of workerd.
        listener: where requests come in. Requests that come while there is no workerd wait in its queue.
        folder: a directory that only this user may enter, for sockets.
        control: the socket that workerd asks.
        limits: when to step in.
        output: is given each line that workerd prints.
        reach_private: whether scripts may fetch from private networks.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what a process needs
        self,
        binary: Path,
        listener: socket.socket,
        folder: Path,
        control: Path,
        limits: Limits,
        output: Lines,
        *,
        reach_private: bool = False,
    ) -> None:
        self._make: Final[Callable[[int], Child]] = lambda number: Child(
            binary, listener, control, folder / f"admin-{number}.sock", output, reach_private=reach_private
        )
        self._limits = limits
        self._made = 0
        self._children: list[Child] = []
        self._current: Child | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._keeper: asyncio.Task[None] | None = None
        self.restarts = 0

    def pids(self) -> Collection[int]:
        """Processes that are ours."""
        return {child.pid for child in self._children if child.pid}

    @property
    def current(self) -> Child:
        """The one that takes new requests."""
        assert self._current is not None  # noqa: S101 - only of a started one
        return self._current

    async def start(self) -> None:
        """Start workerd, and watch it from then on.

        Raises:
            NightsafeError: UNAVAILABLE, when it does not start.
        """
        self._current = await self._launch()
        self._keeper = self._spawn(self._keep())

    async def stop(self) -> None:
        """End every process, at once those that do not end by themselves."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(self._end(child) for child in list(self._children)))

    async def watch(self) -> None:
        """Return when the process is watched no longer, or raise what has ended that: it must not be left at that."""
        assert self._keeper is not None  # noqa: S101 - only of a started one
        await asyncio.wait({self._keeper})
        self._keeper.result()

    async def push(self, path: str, body: bytes) -> None:
        """Tell every process; one that does not take it is killed, for it would serve what is no longer true.

        Raises:
            NightsafeError: UNAVAILABLE, when one had to be killed; whatever is started in its place asks by itself.
        """
        results = await asyncio.gather(
            *(self._push_to(child, path, body) for child in list(self._children)), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _push_to(self, child: Child, path: str, body: bytes) -> None:
        """Tell one process, or kill it. One that has ended needs to be told nothing."""
        try:
            await child.push(path, body)
        except NightsafeError as error:
            if child.alive:
                _log.warning("workerd.deaf", pid=child.pid, reason=error.problems[0].detail)
                await child.kill()
                raise

    async def _launch(self) -> Child:
        """A new process, that listens. It is told of changes from its beginning."""
        self._made += 1
        child = self._make(self._made)
        self._children.append(child)
        try:
            await child.start()
        except BaseException:
            self._children.remove(child)
            raise
        _log.info("workerd.started", pid=child.pid)
        return child

    async def _keep(self) -> None:
        """Watch the current process, and see to it that there is one."""
        while True:
            child = self.current
            began = time.monotonic()
            if await self._watch(child):
                self._current = await self._relaunch()
                self._spawn(self._end(child))
                continue
            code = await child.wait()
            self._children.remove(child)
            self.restarts += 1
            _log.warning("workerd.ended", pid=child.pid, code=code)
            if time.monotonic() - began < self._limits.pause_seconds:
                await asyncio.sleep(self._limits.pause_seconds)
            self._current = await self._relaunch()

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
        try:
            while not ended.done():
                await asyncio.wait({ended}, timeout=self._limits.probe_seconds)
                if ended.done():
                    return False
                if child.resident_bytes() > self._limits.resident_bytes:
                    _log.warning("workerd.too_large", pid=child.pid, bytes=child.resident_bytes())
                    return True
                if not await self._answers(child):
                    _log.warning("workerd.hung", pid=child.pid)
                    await child.kill()
            return False
        finally:
            ended.cancel()

    async def _answers(self, child: Child) -> bool:
        """Whether a process answers a probe within the limits; one that has ended does: that is seen elsewhere."""
        cpu, end = child.cpu_seconds(), time.monotonic() + self._limits.hang_seconds
        probe = asyncio.create_task(child.ask("/health"))
        try:
            while not probe.done():
                await asyncio.wait({probe}, timeout=self._limits.probe_seconds / 2)
                used = child.cpu_seconds() - cpu
                if not probe.done() and (used > self._limits.hang_cpu_seconds or time.monotonic() > end):
                    return False
            return True
        finally:
            probe.cancel()
            with suppress(OSError, asyncio.CancelledError):
                await probe

    async def _end(self, child: Child) -> None:
        """End a process gently, then not."""
        try:
            child.terminate()
            async with asyncio.timeout(self._limits.drain_seconds):
                await child.wait()
        except TimeoutError:
            await child.kill()
        finally:
            if child in self._children:
                self._children.remove(child)

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run something beside, for as long as this runs."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
