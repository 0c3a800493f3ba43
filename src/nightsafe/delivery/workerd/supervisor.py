"""Supervises the runtime's processes: the main one, on the socket for requests, and the cells beside it."""

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
"""The most earlier main processes that stay for clients that keep connections to them."""

_LOOK_SECONDS: Final = 0.05
_ASK_SECONDS: Final = 1.0
_SLACK_SECONDS: Final = 0.05
"""How far the clocks of two processes may differ: workerd's clock stands still between two of its events."""

_MOST_NAMED: Final = 5


class Scripts(Protocol):
    """The scripts that are served."""

    def code(self, script: str) -> str:
        """Return the code digest of a script, "" when it is not served."""
        ...

    def cpu_seconds(self, script: str) -> float:
        """Return the CPU time that a request of a script may use, in seconds."""
        ...

    def serves(self, script: str, number: int) -> bool:
        """Return whether a script is currently served from the load with this number."""
        ...

    def callees(self, script: str) -> tuple[str, ...]:
        """Return the scripts that a script calls, directly or through others."""
        ...


class Supervisor:
    """Keeps the workerd processes running, on sockets that stay open.

    Args:
        binary: path of workerd.
        listener: the socket for requests. Requests that come while no workerd runs wait in its queue.
        folder: a directory for sockets that only this user may enter.
        control: path of the socket on which workerd sends its requests to this process.
        limits: the limits of the processes.
        output: receives each line that workerd itself prints; None to discard them.
        behind_proxies: whether there are proxies whose statements about their clients are believed.
        scripts: the scripts that are served.
        reach: the directory of the file with the addresses that scripts may connect to.
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
        """Set when a script is held apart or is no longer held apart."""
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
        """Return the ids of our processes."""
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
        """The cells' processes that take requests, in the order of the cells' numbers."""
        return [cell.keeper.current for _, cell in sorted(self._cells.items()) if cell.keeper.up]

    @property
    def restarts(self) -> int:
        """How often the main process ended and was restarted."""
        return self._main.restarts

    def fleet(self) -> dict[str, Any]:
        """Return what each process must know about the cells and the scripts that are held apart."""
        return {"cells": [one.told() for one in self._cells.values()], **self.holds.told()}

    def started_at(self, pid: int) -> float:
        """Return when a process was started, in seconds since 1970; 0 when it is not ours."""
        return next((child.started_at for child in self._children() if child.pid == pid), 0.0)

    async def start(self) -> None:
        """Start the processes, and watch them from then on.

        Raises:
            NightsafeError: UNAVAILABLE, when a process does not start.
        """
        try:
            await asyncio.gather(self._main.start(), *(self._add_cell() for _ in range(self._limits.cells)))
        except BaseException:
            await self.stop()
            raise
        await self.announce()

    async def stop(self) -> None:
        """End every process, and kill those that do not end in time."""
        if self._growing is not None:
            self._growing.cancel()
        lingering = (self._main.end(child) for child in self._lingering)
        await asyncio.gather(self._main.stop(), *lingering)  # their requests may still be in a cell
        await asyncio.gather(*(cell.stop() for cell in self._cells.values()))

    async def watch(self) -> None:
        """Wait until supervision of a process ends, and raise the error that ended it.

        The caller must not go on without supervision.
        """
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
        """Note that a process asks for the route of a script, so that it is told when the route changes."""
        for child in self._children():
            if child.pid == pid:
                child.knows.add(script)

    async def tell(self, script: str, route: bytes) -> None:
        """Tell every process that knows a script how to serve it from now on.

        A process that does not accept the message is killed, because it would serve an outdated state. A busy process
        is spared: it gets no new requests, and accepts the message when it has time, before it gets a request again.

        Raises:
            NightsafeError: UNAVAILABLE, when a process had to be killed; its successor asks for the route by itself.
        """
        await self._to_all(f"/routes/{script}", route, [one for one in self._children() if script in one.knows])

    async def announce(self) -> None:
        """Tell every process about the others and the scripts that are held apart, in the same way as `tell`."""
        await self._to_all("/fleet", msgspec.json.encode(self.fleet()), list(self._children()))

    def renew(self) -> None:
        """Replace every process by a new one."""
        for keeper in (self._main, *(cell.keeper for cell in self._cells.values())):
            keeper.renew()
        for child in self._lingering:
            child.terminate()
        self._lingering.clear()

    def grow(self) -> None:
        """Start one more cell, unless there are enough or one is starting."""
        if len(self._cells) < self._limits.most_cells and (self._growing is None or self._growing.done()):
            self._growing = asyncio.create_task(self._grow())

    async def used(self, number: int, child: Child) -> Used:
        """Implement `Judge.used`; return no scripts when the main process does not answer."""
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
        """Implement `Judge.cpu_seconds`."""
        return max(map(self._scripts.cpu_seconds, scripts), default=CPU_SECONDS)

    async def busy(self, number: int, used: Used) -> None:
        """Implement `Judge.busy`."""
        _log.info("script.busy", scripts=used.scripts, cell=number)
        await self._try_announce()

    async def freed(self, child: Child, used: Used) -> None:
        """Implement `Judge.freed`. The process first accepts all messages that it was sent meanwhile."""
        await asyncio.gather(*child.owed, return_exceptions=True)
        child.busy = False
        for user in used.users:
            if user.waits or len(used.users) == 1:
                self.holds.weigh(user.script, self._scripts.code(user.script))
        await self._try_announce()

    async def guilty(self, number: int, used: Used, reason: str) -> None:
        """Implement `Judge.guilty`.

        If one script used the cell alone, it is held apart. If several did, each must run alone from now on. The
        version that is served now is not blamed for an earlier one.
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
        """Implement `Judge.going_on`: tell the main processes, which choose the cells for requests."""
        with suppress(NightsafeError):
            await self._to_all("/fleet", msgspec.json.encode(self.fleet()), list(self._main.children))

    def _hold(self, script: str, reason: str) -> None:
        """Hold a script apart; the reason mentions that a script that it calls may be to blame instead."""
        callees = self._scripts.callees(script)
        if callees:
            reason += f", or a script that it calls did: {', '.join(callees[:_MOST_NAMED])}"
        hold = self.holds.blame(script, self._scripts.code(script), reason, callees)
        self.changed.set()
        _log.error("script.held", script=script, seconds=hold.pause, reason=reason)

    async def _overdue(self, child: Child, _: Probe) -> bool:
        """Have a main process that computes replaced; it may finish its requests."""
        _log.warning("workerd.busy", pid=child.pid, part=child.part)
        child.busy = True
        return True

    async def _retire(self, child: Child) -> None:
        """End a main process that was replaced, or keep it for its connections.

        A busy process may go on for as long as the other requests in it can wait. When it answers again, it stays,
        because clients keep connections to it, but it hands every request to a cell.
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
        """Wait for a busy process; return True if it answers again, False if it has ended or was killed."""
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
        """Start one more cell."""
        try:
            await self._add_cell()
        except NightsafeError as error:
            _log.error("workerd.not_started", reason=error.problems[0].detail)
        await self._try_announce()

    async def _add_cell(self) -> None:
        """Start a cell under the next number; raise NightsafeError UNAVAILABLE when it does not start."""
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
        """Tell every process about the others. The successor of a process that had to be killed asks by itself."""
        with suppress(NightsafeError):
            await self.announce()

    def _children(self) -> Iterator[Child]:
        """Yield every process that has not ended."""
        yield from self._main.children
        for cell in self._cells.values():
            yield from cell.keeper.children

    async def _to_all(self, path: str, body: bytes, children: Iterable[Child]) -> None:
        """Send the same message to several processes."""
        results = await asyncio.gather(
            *(self._push_to(child, path, body) for child in children), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _push_to(self, child: Child, path: str, body: bytes) -> None:
        """Send a message to a process, and kill it if it does not accept it. Ignore a process that has ended."""
        push = asyncio.ensure_future(child.push(path, body))
        child.owed.add(push)
        push.add_done_callback(child.owed.discard)
        if not child.ready:  # it asks when it starts, and takes newer messages when it can
            push.add_done_callback(_passed_over)
            return
        end = time.monotonic() + _DEAF_SECONDS
        while not push.done() and not child.busy and time.monotonic() < end:
            await asyncio.wait({push}, timeout=_LOOK_SECONDS)
        if child.busy:
            push.add_done_callback(_passed_over)
            return
        error = push.exception() if push.done() else NightsafeError(Code.UNAVAILABLE, "workerd accepts no message")
        if error is None:
            return
        push.cancel()
        if child.alive and not (child.leaving and push.done()):
            reason = error.problems[0].detail if isinstance(error, NightsafeError) else type(error).__name__
            _log.warning("workerd.deaf", pid=child.pid, part=child.part, reason=reason)
            await child.kill()
            raise error


def _passed_over(push: "asyncio.Future[None]") -> None:
    """Ignore the result of a message to a busy process: if the process ends, its successor asks by itself."""
    if not push.cancelled():
        push.exception()
