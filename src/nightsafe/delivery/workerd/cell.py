"""A cell: a process beside the main one, for scripts that might hold others up."""

import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, Protocol

import structlog
from msgspec import Struct

from nightsafe.delivery.workerd.child import Child
from nightsafe.delivery.workerd.control import unix_socket
from nightsafe.delivery.workerd.limits import Limits
from nightsafe.delivery.workerd.probe import Probe
from nightsafe.delivery.workerd.process_keeper import Keeper

_log = structlog.get_logger()

_NO_FAULT: Final = frozenset({-signal.SIGTERM, 0})
"""Exit codes of a process that ended because it was asked to."""

_TOO_LARGE: Final = "it took too much memory"
_DIED: Final = "its process ended, as happens when a script takes too much memory"
_SMALL: Final = 4


class CellUser(Struct, frozen=True):
    """A script that uses a cell, or did so a moment ago.

    Attributes:
        script: its name.
        loads: the loads that it was served from.
        waits: whether a request to it waits for an answer.
    """

    script: str
    loads: tuple[int, ...] = ()
    waits: bool = False


class CellUsers(Struct, frozen=True):
    """The scripts that may have work under way in a cell. One of them is the cause of any trouble in the cell.

    Attributes:
        users: each script once.
    """

    users: tuple[CellUser, ...] = ()

    @property
    def scripts(self) -> tuple[str, ...]:
        """The scripts' names."""
        return tuple(user.script for user in self.users)


class CellObserver(Protocol):
    """Decides about scripts that hold a cell up or take it down."""

    async def users_of(self, number: int, child: Child) -> CellUsers:
        """Return the scripts that have had, or may have had, work under way in a cell since it last answered."""
        ...

    def cpu_seconds(self, scripts: tuple[str, ...]) -> float:
        """Return the largest CPU time, in seconds, that a request of any of these scripts may use."""
        ...

    async def on_busy(self, number: int, cell_users: CellUsers) -> None:
        """Note that a cell computes and does not answer."""
        ...

    async def on_freed(self, child: Child, cell_users: CellUsers) -> None:
        """Note that a cell's process that was busy answers again."""
        ...

    async def on_fault(self, number: int, cell_users: CellUsers, reason: str) -> None:
        """Note that a script made a cell die, or that a cell is about to be killed because of a script."""
        ...

    async def on_work_reported(self) -> None:
        """Note that a cell has reported the work that it has under way."""
        ...


ChildFactory = Callable[[socket.socket], Child]


class Cell:
    """A cell on a unix socket that stays open when its process is replaced.

    Args:
        number: the cell's number, by which the main process knows it.
        folder: a directory that only this user may enter.
        make_child: makes the cell's process on a listening socket.
        limits: the limits of the process.
        observer: decides about scripts.
        on_change: called when the process has started or ended.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what a process needs
        self,
        number: int,
        folder: Path,
        make_child: ChildFactory,
        limits: Limits,
        observer: CellObserver,
        on_change: Callable[[], Awaitable[None]],
    ) -> None:
        self.number: Final = number
        self._path: Final = self.path_in(folder, number)
        self._listener: Final = unix_socket(self._path)
        self._observer = observer
        self._on_change = on_change
        self._limits = limits
        self.keeper: Final = Keeper(
            lambda: make_child(self._listener),
            limits,
            self._on_overdue,
            on_ended=self._on_ended,
            on_renewed=on_change,
            on_overgrown=self._on_overgrown,
            on_probed=self._on_probed,
        )
        self._had_work = False
        self._stuck_at = 0.0

    @property
    def busy(self) -> bool:
        """Whether the cell does not answer, because it computes or its process is starting."""
        return not self.keeper.up or self.keeper.current.busy

    def to_dict(self) -> dict[str, Any]:
        """Return the state of the cell for the main process.

        `going` lists the scripts with work under way. Times are in milliseconds since 1970: `asked` is when the
        process was asked for these scripts, `stuck` is since when it answers no probe, or 0.
        """
        child = self.keeper.current if self.keeper.up else None
        times = {"asked": int(child.probed_at * 1000) if child else 0, "stuck": int(self._stuck_at * 1000)}
        return {"number": self.number, "busy": self.busy, "going": self._active_scripts(), **times}

    def _active_scripts(self) -> list[str]:
        """Return the scripts with work under way."""
        return sorted({script for script, _ in self.keeper.current.active_loads}) if self.keeper.up else []

    @staticmethod
    def path_in(folder: Path, number: int) -> Path:
        """Return the path of the socket of a cell."""
        return folder / f"cell-{number}.sock"

    async def stop(self) -> None:
        """End the process and remove the socket."""
        await self.keeper.stop()
        self._listener.close()
        self._path.unlink(missing_ok=True)

    async def _on_probed(self) -> None:
        """Report the work under way after a probe, and once more when it has ended."""
        has_work = bool(self._active_scripts())
        if has_work or self._had_work:
            self._had_work = has_work
            await self._observer.on_work_reported()

    async def _on_overdue(self, child: Child, probe: Probe) -> bool:
        """Keep others away while a script computes, and kill the process if it takes longer than it may."""
        cell_users = await self._observer.users_of(self.number, child)
        child.busy = True
        self._stuck_at = probe.asked_at
        await self._observer.on_busy(self.number, cell_users)
        cpu_limit = self._observer.cpu_seconds(cell_users.scripts)
        max_bytes = self._limits.overgrown_bytes
        if not await probe.wait_for_answer(cpu=cpu_limit, idle=self._limits.idle_seconds, max_bytes=max_bytes):
            large = child.resident_bytes() > max_bytes
            reason = _TOO_LARGE if large else f"it used {cpu_limit:g} s of CPU time without a pause"
            await self._observer.on_fault(self.number, cell_users, reason)
            await child.kill()
        elif child.alive:
            await self._observer.on_freed(child, cell_users)
        self._stuck_at = 0.0
        return False

    async def _on_overgrown(self, child: Child) -> None:
        """Kill a process that grows on after it dropped its scripts, and blame the scripts that use it."""
        await self._observer.on_fault(self.number, await self._observer.users_of(self.number, child), _TOO_LARGE)
        await child.kill()

    async def _on_ended(self, child: Child, code: int) -> None:
        """Find the scripts to blame when a process has ended by itself."""
        await self._on_change()
        if child.killed or code in _NO_FAULT:
            return
        if code == -signal.SIGKILL and child.peak_bytes < self._limits.resident_bytes / _SMALL:
            return  # somebody else killed it
        await self._observer.on_fault(self.number, await self._observer.users_of(self.number, child), _DIED)
