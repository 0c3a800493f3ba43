"""A process beside the main one, in which scripts run that might hold others up."""

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Protocol

import structlog
from msgspec import Struct

from nightsafe.delivery.child import Child
from nightsafe.delivery.control import unix_socket
from nightsafe.delivery.keeper import Keeper
from nightsafe.delivery.limits import Limits
from nightsafe.delivery.probe import Probe

_log = structlog.get_logger()

_NO_FAULT: Final = frozenset({-signal.SIGTERM, 0})
"""How a process ends that was asked to."""

_TOO_LARGE: Final = "it took too much memory"
_DIED: Final = "it ended its process, as a script does that takes too much memory"
_SMALL: Final = 4
_LOOKS: Final = 10
_PAUSE: Final = 0.05


class Used(Struct, frozen=True):
    """Who has used a cell, as the main process has it.

    Attributes:
        scripts: those that wait for an answer.
        recent: those that used it a short while ago.
        lost: those whose requests it did not answer, since this was last asked.
    """

    scripts: tuple[str, ...] = ()
    recent: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


class Judge(Protocol):
    """Who decides about scripts that hold a cell up or take it down."""

    async def used(self, number: int) -> Used:
        """Who has used a cell."""
        ...

    def cpu_seconds(self, scripts: tuple[str, ...]) -> float:
        """CPU time that a request of any of these scripts may use."""
        ...

    async def busy(self, number: int, used: Used) -> None:
        """A cell computes and does not answer."""
        ...

    async def freed(self, child: Child, used: Used) -> None:
        """A cell's process that was busy has answered again."""
        ...

    async def guilty(self, number: int, used: Used, reason: str) -> None:
        """A cell is about to be killed, or has died, of what a script does."""
        ...


Make = Callable[[socket.socket], Child]


class Cell:
    """One such process on a unix socket that stays open.

    Args:
        number: by which the main process knows it.
        folder: a directory that only this user may enter.
        make: makes its process on a listening socket.
        limits: when to step in.
        judge: decides about scripts.
        changed: is told when it is up or down.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what a process needs
        self,
        number: int,
        folder: Path,
        make: Make,
        limits: Limits,
        judge: Judge,
        changed: Callable[[], Awaitable[None]],
    ) -> None:
        self.number: Final = number
        self._path: Final = self.path_in(folder, number)
        self._listener: Final = unix_socket(self._path)
        self._judge = judge
        self._changed = changed
        self._limits = limits
        self.keeper: Final = Keeper(
            lambda: make(self._listener),
            limits,
            self._overdue,
            ended=self._ended,
            renewed=changed,
            overgrown=self._overgrown,
        )

    @property
    def busy(self) -> bool:
        """Whether it does not answer: it computes, or is being started."""
        return not self.keeper.up or self.keeper.current.busy

    @staticmethod
    def path_in(folder: Path, number: int) -> Path:
        """Where the socket of a cell is."""
        return folder / f"cell-{number}.sock"

    async def stop(self) -> None:
        """End it."""
        await self.keeper.stop()
        self._listener.close()
        self._path.unlink(missing_ok=True)

    async def _overdue(self, child: Child, probe: Probe) -> bool:
        """Let a script compute for as long as it may, while others are kept away; then end the process."""
        used = await self._judge.used(self.number)
        child.busy = True
        await self._judge.busy(self.number, used)
        allowed = self._judge.cpu_seconds(used.scripts or used.recent)
        most = self._limits.overgrown_bytes
        if not await probe.answered(cpu=allowed, idle=self._limits.idle_seconds, most_bytes=most):
            large = child.resident_bytes() > most
            reason = _TOO_LARGE if large else f"it used {allowed:g} s of CPU time without a pause"
            await self._end_for(child, reason)
        elif child.alive:
            await self._judge.freed(child, used)
        return False

    async def _overgrown(self, child: Child) -> None:
        """What it has loaded was let go of, and it goes on to grow: for whom it works is to blame."""
        await self._end_for(child, _TOO_LARGE)

    async def _end_for(self, child: Child, reason: str) -> None:
        """End a process for what a script does; those who wait for it hear why."""
        await self._judge.guilty(self.number, await self._judge.used(self.number), reason)
        await child.kill()

    async def _ended(self, child: Child, code: int) -> None:
        """A process has ended: when it did so by itself, find out for whom."""
        await self._changed()
        if child.killed or code in _NO_FAULT:
            return
        if code == -signal.SIGKILL and child.largest < self._limits.resident_bytes / _SMALL:
            return  # somebody else ended it
        await self._judge.guilty(self.number, await self._lost(), _DIED)

    async def _lost(self) -> Used:
        """Whose requests it has lost: the main process sees that its connections end when this does, or after it."""
        lost: tuple[str, ...] = ()
        for _ in range(_LOOKS):
            lost = (await self._judge.used(self.number)).lost
            if lost:
                break
            await asyncio.sleep(_PAUSE)
        return Used(scripts=lost)
