"""A process beside the main one, in which scripts run that might hold others up."""

import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, Protocol

import structlog
from msgspec import Struct

from nightsafe.delivery.workerd.child import Child
from nightsafe.delivery.workerd.control import unix_socket
from nightsafe.delivery.workerd.keeper import Keeper
from nightsafe.delivery.workerd.limits import Limits
from nightsafe.delivery.workerd.probe import Probe

_log = structlog.get_logger()

_NO_FAULT: Final = frozenset({-signal.SIGTERM, 0})
"""How a process ends that was asked to."""

_TOO_LARGE: Final = "it took too much memory"
_DIED: Final = "it ended its process, as a script does that takes too much memory"
_SMALL: Final = 4


class User(Struct, frozen=True):
    """A script that uses a cell, or did so a moment ago.

    Attributes:
        script: its name.
        loads: those that served it.
        waits: whether it waits for an answer.
    """

    script: str
    loads: tuple[int, ...] = ()
    waits: bool = False


class Used(Struct, frozen=True):
    """Who may have something under way in a cell, so that all that happens to it is of one of them.

    Attributes:
        users: each script once.
    """

    users: tuple[User, ...] = ()

    @property
    def scripts(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(user.script for user in self.users)


class Judge(Protocol):
    """Who decides about scripts that hold a cell up or take it down."""

    async def used(self, number: int, child: Child) -> Used:
        """Who has something under way in a cell's process, or may have, since it was last heard of."""
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

    async def going_on(self) -> None:
        """A cell has said what it has under way."""
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
            probed=self._probed,
        )
        self._went_on = False
        self._stuck_at = 0.0

    @property
    def busy(self) -> bool:
        """Whether it does not answer: it computes, or is being started."""
        return not self.keeper.up or self.keeper.current.busy

    def told(self) -> dict[str, Any]:
        """What the main process is told: scripts with something under way, and times in milliseconds since 1970.

        `asked` is when the process was asked for these, `stuck` since when it answers no probe, or 0.
        """
        child = self.keeper.current if self.keeper.up else None
        times = {"asked": int(child.heard_at * 1000) if child else 0, "stuck": int(self._stuck_at * 1000)}
        return {"number": self.number, "busy": self.busy, "going": self._going(), **times}

    def _going(self) -> list[str]:
        """The scripts with something under way."""
        return sorted({script for script, _ in self.keeper.current.going}) if self.keeper.up else []

    @staticmethod
    def path_in(folder: Path, number: int) -> Path:
        """Where the socket of a cell is."""
        return folder / f"cell-{number}.sock"

    async def stop(self) -> None:
        """End it."""
        await self.keeper.stop()
        self._listener.close()
        self._path.unlink(missing_ok=True)

    async def _probed(self) -> None:
        """Let it be known what goes on, and once more when nothing does any longer."""
        goes_on = bool(self._going())
        if goes_on or self._went_on:
            self._went_on = goes_on
            await self._judge.going_on()

    async def _overdue(self, child: Child, probe: Probe) -> bool:
        """Let a script compute for as long as it may, while others are kept away; then end the process."""
        used = await self._judge.used(self.number, child)
        child.busy = True
        self._stuck_at = probe.asked_at
        await self._judge.busy(self.number, used)
        allowed = self._judge.cpu_seconds(used.scripts)
        most = self._limits.overgrown_bytes
        if not await probe.answered(cpu=allowed, idle=self._limits.idle_seconds, most_bytes=most):
            large = child.resident_bytes() > most
            reason = _TOO_LARGE if large else f"it used {allowed:g} s of CPU time without a pause"
            await self._judge.guilty(self.number, used, reason)
            await child.kill()
        elif child.alive:
            await self._judge.freed(child, used)
        self._stuck_at = 0.0
        return False

    async def _overgrown(self, child: Child) -> None:
        """What it has loaded was let go of, and it goes on to grow: for whom it works is to blame."""
        await self._judge.guilty(self.number, await self._judge.used(self.number, child), _TOO_LARGE)
        await child.kill()

    async def _ended(self, child: Child, code: int) -> None:
        """A process has ended: when it did so by itself, find out for whom."""
        await self._changed()
        if child.killed or code in _NO_FAULT:
            return
        if code == -signal.SIGKILL and child.largest < self._limits.resident_bytes / _SMALL:
            return  # somebody else ended it
        await self._judge.guilty(self.number, await self._judge.used(self.number, child), _DIED)
