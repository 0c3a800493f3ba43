"""The runtime's processes: the main one, on the socket where requests come in, and the cells beside it."""

import asyncio
import socket
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
import structlog
from msgspec.structs import replace

from nightsafe.delivery.workerd.cell import Cell, Used, User
from nightsafe.delivery.workerd.child import Child, Lines
from nightsafe.delivery.workerd.holds import Holds
from nightsafe.delivery.workerd.keeper import Keeper
from nightsafe.delivery.workerd.limits import CPU_SECONDS, MOST_CELLS, Limits
from nightsafe.delivery.workerd.probe import Probe
from nightsafe.errors import Code, NightsafeError

_log = structlog.get_logger()

_DEAF_SECONDS: Final = 5.0
_MOST_LINGERING: Final = 3
"""Earlier main processes that stay for those who keep connections to them."""

_LOOK_SECONDS: Final = 0.05
_ASK_SECONDS: Final = 1.0
_SLACK_SECONDS: Final = 0.05
"""By how much the clocks of two processes may differ: workerd's stands still between two of its events."""

_MOST_NAMED: Final = 5


class Scripts(Protocol):
    """What is served."""

    def code(self, script: str) -> str:
        """The code of a script, "" of one that is not served."""
        ...

    def cpu_seconds(self, script: str) -> float:
        """CPU time that a request of a script may use."""
        ...

    def serves(self, script: str, number: int) -> bool:
        """Whether a load is one that a script is served from now."""
        ...

    def callees(self, script: str) -> tuple[str, ...]:
        """Scripts that a script calls, or that one of those calls."""
        ...


class Supervisor:
    """Workerds that are always there, on sockets that stay open.

    Args:
        binary: of workerd.
        listener: where requests come in. Requests that come while there is no workerd wait in its queue.
        folder: a directory that only this user may enter, for sockets.
        control: the socket that workerd asks.
        limits: when to step in.
        output: is given each line of workerd's own; None for whom it does not interest.
        behind_proxies: whether there are proxies that are believed what they say of their clients.
        scripts: what is served.
        reach: the directory of the file that says where scripts may connect to.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what processes need
        self,
        binary: Path,
        listener: socket.socket,
        folder: Path,
        control: Path,
        limits: Limits,
        output: Lines | None,
        scripts: Scripts,
        *,
        reach: Path,
        behind_proxies: bool = False,
    ) -> None:
        self._limits: Final = limits
        self._folder: Final = folder
        self._scripts: Final = scripts
        self.changed: Final = asyncio.Event()
        """Set when a script is held apart, or let in again."""
        self.holds: Final = Holds(limits.first_hold, limits.longest_hold)
        numbers = count(1)
        paths = {f"cell{number}": Cell.path_in(folder, number) for number in range(1, MOST_CELLS + 1)}

        def make(part: str, on: socket.socket) -> Child:
            admin = folder / f"admin-{next(numbers)}.sock"
            reached = {"cp": control} | (paths if part == "main" else {})
            return Child(
                binary,
                on,
                reached,
                admin,
                output,
                part=part,
                reach=reach,
                behind_proxies=behind_proxies,
            )

        self._make: Final = make
        self._main: Final = Keeper(lambda: make("main", listener), limits, self._overdue, retire=self._retire)
        self._cells: Final[dict[int, Cell]] = {}
        self._lingering: Final[list[Child]] = []
        self._growing: asyncio.Task[None] | None = None

    def pids(self) -> Collection[int]:
        """Processes that are ours."""
        return {child.pid for child in self._children() if child.pid}

    @property
    def current(self) -> Child:
        """The main process that takes new requests."""
        return self._main.current

    @property
    def takes_requests(self) -> bool:
        """Whether the main process listens."""
        return self._main.up and self._main.current.ready

    @property
    def cells(self) -> list[Child]:
        """The processes beside it that take requests, in the order of their numbers."""
        return [cell.keeper.current for _, cell in sorted(self._cells.items()) if cell.keeper.up]

    @property
    def restarts(self) -> int:
        """How often the main process ended and was started anew."""
        return self._main.restarts

    def fleet(self) -> dict[str, Any]:
        """What a process is told of the others, and of scripts that are held apart."""
        return {"cells": [one.told() for one in self._cells.values()], **self.holds.told()}

    def started_at(self, pid: int) -> float:
        """When a process was started, in seconds since 1970; 0 when it is none of ours."""
        return next((child.started_at for child in self._children() if child.pid == pid), 0.0)

    async def start(self) -> None:
        """Start the processes, and watch them from then on.

        Raises:
            NightsafeError: UNAVAILABLE, when one does not start.
        """
        try:
            await asyncio.gather(self._main.start(), *(self._add_cell() for _ in range(self._limits.cells)))
        except BaseException:
            await self.stop()
            raise
        await self.announce()

    async def stop(self) -> None:
        """End every process, at once those that do not end by themselves."""
        if self._growing is not None:
            self._growing.cancel()
        lingering = (self._main.end(child) for child in self._lingering)
        await asyncio.gather(self._main.stop(), *lingering)  # their requests may still be in a cell
        await asyncio.gather(*(cell.stop() for cell in self._cells.values()))

    async def watch(self) -> None:
        """Return when a process is watched no longer, or raise what has ended that: it must not be left at that."""
        keepers = [self._main, *(cell.keeper for cell in self._cells.values())]
        watching = {asyncio.create_task(keeper.watch()) for keeper in keepers}
        try:
            done, _ = await asyncio.wait(watching, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                one.result()
        finally:
            for one in watching:
                one.cancel()

    def asks(self, pid: int, script: str) -> None:
        """A process asks how a script is served: it has to be told when that changes."""
        for child in self._children():
            if child.pid == pid:
                child.knows.add(script)

    async def tell(self, script: str, route: bytes) -> None:
        """Tell every process that knows a script how it is served now.

        One that does not take it is killed, for it would serve what is no longer true; but not one that is busy, for
        which nothing is meant that comes from now on: it takes it when it has time, before it is given anything.

        Raises:
            NightsafeError: UNAVAILABLE, when one had to be killed; whatever is started in its place asks by itself.
        """
        await self._to_all(f"/routes/{script}", route, [one for one in self._children() if script in one.knows])

    async def announce(self) -> None:
        """Tell every process of the others, and of scripts that are held apart; as `tell`."""
        await self._to_all("/fleet", msgspec.json.encode(self.fleet()), list(self._children()))

    def renew(self) -> None:
        """Have another process take the place of each, for it is to start anew."""
        for keeper in (self._main, *(cell.keeper for cell in self._cells.values())):
            keeper.renew()
        for child in self._lingering:
            child.terminate()
        self._lingering.clear()

    def grow(self) -> None:
        """Start one more cell, unless there are enough or one is being started."""
        if len(self._cells) < self._limits.most_cells and (self._growing is None or self._growing.done()):
            self._growing = asyncio.create_task(self._grow())

    async def used(self, number: int, child: Child) -> Used:
        """As `Judge.used`; nobody, when the main process does not say."""
        since = int((child.heard_at - _SLACK_SECONDS) * 1000)
        try:
            async with asyncio.timeout(_ASK_SECONDS):
                told = msgspec.json.decode(await self.current.ask(f"/cells/{number}/{since}"), type=tuple[User, ...])
        except (OSError, TimeoutError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return Used()
        users = {user.script: user for user in told}
        for script, load in child.going:
            user = users.get(script, User(script))
            users[script] = replace(user, loads=(*user.loads, load))
        return Used(tuple(users.values()))

    def cpu_seconds(self, scripts: tuple[str, ...]) -> float:
        """As `Judge.cpu_seconds`."""
        return max(map(self._scripts.cpu_seconds, scripts), default=CPU_SECONDS)

    async def busy(self, number: int, used: Used) -> None:
        """As `Judge.busy`."""
        _log.info("script.busy", scripts=used.scripts, cell=number)
        await self._try_announce()

    async def freed(self, child: Child, used: Used) -> None:
        """As `Judge.freed`. It first takes up all that it was told meanwhile."""
        await asyncio.gather(*child.owed, return_exceptions=True)
        child.busy = False
        for user in used.users:
            if user.waits or len(used.users) == 1:
                self.holds.weigh(user.script, self._scripts.code(user.script))
        await self._try_announce()

    async def guilty(self, number: int, used: Used, reason: str) -> None:
        """As `Judge.guilty`: whoever was alone with it is held apart; of several each must be alone from now on.

        What an earlier version may have done is not held against the one that is served by now.
        """
        served = [
            user.script for user in used.users if all(self._scripts.serves(user.script, one) for one in user.loads)
        ]
        if not used.users:
            _log.error("workerd.hung", part=f"cell-{number}", reason=reason)
        elif len(used.users) > 1:
            self.holds.suspect(served)
            _log.error("script.suspected", scripts=served, cell=number, reason=reason)
        elif served:
            self._hold(served[0], reason)
        else:
            _log.error("script.ended", scripts=used.scripts, cell=number, reason=f"{reason}, in an earlier version")
        await self._try_announce()

    async def going_on(self) -> None:
        """As `Judge.going_on`: whoever chooses a cell for a request has to know."""
        with suppress(NightsafeError):
            await self._to_all("/fleet", msgspec.json.encode(self.fleet()), list(self._main.children))

    def _hold(self, script: str, reason: str) -> None:
        """Hold a script apart, or let it be known that it may be one that it calls."""
        callees = self._scripts.callees(script)
        if callees:
            reason += f", or one did that it calls: {', '.join(callees[:_MOST_NAMED])}"
        hold = self.holds.blame(script, self._scripts.code(script), reason, callees)
        self.changed.set()
        _log.error("script.held", script=script, seconds=hold.pause, reason=reason)

    async def _overdue(self, child: Child, _: Probe) -> bool:
        """The main process computes: another takes its place, and it may finish what it has begun."""
        _log.warning("workerd.busy", pid=child.pid, part=child.part)
        child.busy = True
        return True

    async def _retire(self, child: Child) -> None:
        """See to a main process whose place another has taken.

        One that is busy may go on for as long as others who wait for it can be let wait. When it answers again it
        stays, for clients keep connections to it, but hands every request to a cell.
        """
        if child.busy and await self._outlasts(child) and self._cells:
            with suppress(NightsafeError):
                await child.push("/retire", b"")
                self._lingering.append(child)
                if len(self._lingering) <= _MOST_LINGERING:
                    return
                child = self._lingering.pop(0)
        await self._main.end(child)

    async def _outlasts(self, child: Child) -> bool:
        """Wait for a busy process; gives whether it answers, or was killed."""
        probe = Probe(child)
        try:
            if await probe.answered(cpu=self._limits.stall_cpu_seconds, idle=self._limits.idle_seconds):
                return child.alive
            _log.error("workerd.hung", pid=child.pid, part=child.part)
            await child.kill()
            return False
        finally:
            await probe.end()
            child.busy = False

    async def _grow(self) -> None:
        """One more cell."""
        try:
            await self._add_cell()
        except NightsafeError as error:
            _log.error("workerd.not_started", reason=error.problems[0].detail)
        await self._try_announce()

    async def _add_cell(self) -> None:
        """Start a cell under the next number; NightsafeError UNAVAILABLE when it does not start."""
        number = next(one for one in range(1, MOST_CELLS + 1) if one not in self._cells)
        part = f"cell-{number}"
        make = partial(self._make, part)
        self._cells[number] = cell = Cell(
            number, self._folder, make, self._limits.of_cell(), self, self._try_announce
        )
        try:
            await cell.keeper.start()
        except BaseException:
            del self._cells[number]
            await cell.stop()
            raise

    async def _try_announce(self) -> None:
        """Tell every process of the others; one that had to be killed for it is started anew and asks."""
        with suppress(NightsafeError):
            await self.announce()

    def _children(self) -> Iterator[Child]:
        """Every process that has not ended."""
        yield from self._main.children
        for cell in self._cells.values():
            yield from cell.keeper.children

    async def _to_all(self, path: str, body: bytes, children: Iterable[Child]) -> None:
        """Tell several processes the same."""
        results = await asyncio.gather(
            *(self._push_to(child, path, body) for child in children), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _push_to(self, child: Child, path: str, body: bytes) -> None:
        """Tell one process, or kill it. One that has ended needs to be told nothing."""
        push = asyncio.ensure_future(child.push(path, body))
        child.owed.add(push)
        push.add_done_callback(child.owed.discard)
        if not child.ready:  # it asks when it begins, and takes what is newer when it can
            push.add_done_callback(_passed_over)
            return
        end = time.monotonic() + _DEAF_SECONDS
        while not push.done() and not child.busy and time.monotonic() < end:
            await asyncio.wait({push}, timeout=_LOOK_SECONDS)
        if child.busy:
            push.add_done_callback(_passed_over)
            return
        error = push.exception() if push.done() else NightsafeError(Code.UNAVAILABLE, "workerd takes nothing")
        if error is None:
            return
        push.cancel()
        if child.alive and not (child.leaving and push.done()):
            reason = error.problems[0].detail if isinstance(error, NightsafeError) else type(error).__name__
            _log.warning("workerd.deaf", pid=child.pid, part=child.part, reason=reason)
            await child.kill()
            raise error


def _passed_over(push: "asyncio.Future[None]") -> None:
    """Whatever becomes of what a busy process was told: when it ends, another asks."""
    if not push.cancelled():
        push.exception()
