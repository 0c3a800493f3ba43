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

from nightsafe.delivery.workerd.cell import Cell, CellUser, CellUsers
from nightsafe.delivery.workerd.child import Child, LineSink
from nightsafe.delivery.workerd.holds import Holds
from nightsafe.delivery.workerd.limits import CPU_SECONDS, MAX_CELLS, Limits
from nightsafe.delivery.workerd.probe import Probe
from nightsafe.delivery.workerd.process_keeper import Keeper
from nightsafe.errors import Code, NightsafeError

_log = structlog.get_logger()

_DEAF_SECONDS: Final = 5.0
_MAX_LINGERING: Final = 3
"""The most earlier main processes that stay for clients that keep connections to them."""

_POLL_SECONDS: Final = 0.05
_ASK_SECONDS: Final = 1.0
_SLACK_SECONDS: Final = 0.05
"""How far the clocks of two processes may differ: workerd's clock stands still between two of its events."""

_MAX_NAMED: Final = 5


class ServedScripts(Protocol):
    """The scripts that are served."""

    def code_digest(self, script: str) -> str:
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
        output: LineSink | None,
        scripts: ServedScripts,
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
        paths = {f"cell{number}": Cell.path_in(folder, number) for number in range(1, MAX_CELLS + 1)}

        def make_child(part: str, listener: socket.socket) -> Child:
            admin = folder / f"admin-{next(numbers)}.sock"
            external = {"cp": control} | (paths if part == "main" else {})
            return Child(
                binary,
                listener,
                external,
                admin,
                output,
                part=part,
                reach=reach,
                behind_proxies=behind_proxies,
            )

        self._make_child: Final = make_child
        self._main: Final = Keeper(
            lambda: make_child("main", listener), limits, self._on_overdue, retire=self._retire
        )
        self._cells: Final[dict[int, Cell]] = {}
        self._lingering: Final[list[Child]] = []
        self._growing: asyncio.Task[None] | None = None

    def pids(self) -> Collection[int]:
        """Return the ids of our processes."""
        return {child.pid for child in self._all_children() if child.pid}

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
        return {"cells": [cell.to_dict() for cell in self._cells.values()], **self.holds.to_dict()}

    def started_at(self, pid: int) -> float:
        """Return when a process was started, in seconds since 1970; 0 when it is not ours."""
        return next((child.started_at for child in self._all_children() if child.pid == pid), 0.0)

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
        await self.send_fleet()

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
            for task in done:
                task.result()
        finally:
            for task in watching:
                task.cancel()

    def note_route_request(self, pid: int, script: str) -> None:
        """Note that a process asks for the route of a script, so that it is told when the route changes."""
        for child in self._all_children():
            if child.pid == pid:
                child.known_scripts.add(script)

    async def send_route(self, script: str, route: bytes) -> None:
        """Tell every process that knows a script how to serve it from now on.

        A process that does not accept the message is killed, because it would serve an outdated state. A busy process
        is spared: it gets no new requests, and accepts the message when it has time, before it gets a request again.

        Raises:
            NightsafeError: UNAVAILABLE, when a process had to be killed; its successor asks for the route by itself.
        """
        await self._push_to_all(
            f"/routes/{script}", route, [child for child in self._all_children() if script in child.known_scripts]
        )

    async def send_fleet(self) -> None:
        """Tell every process about the others and the scripts held apart, in the same way as `send_route`."""
        await self._push_to_all("/fleet", msgspec.json.encode(self.fleet()), list(self._all_children()))

    def renew(self) -> None:
        """Replace every process by a new one."""
        for keeper in (self._main, *(cell.keeper for cell in self._cells.values())):
            keeper.renew()
        for child in self._lingering:
            child.terminate()
        self._lingering.clear()

    def grow(self) -> None:
        """Start one more cell, unless there are enough or one is starting."""
        if len(self._cells) < self._limits.max_cells and (self._growing is None or self._growing.done()):
            self._growing = asyncio.create_task(self._grow())

    async def users_of(self, number: int, child: Child) -> CellUsers:
        """Implement `CellObserver.users_of`; return no scripts when the main process does not answer."""
        since = int((child.probed_at - _SLACK_SECONDS) * 1000)
        try:
            async with asyncio.timeout(_ASK_SECONDS):
                reported = msgspec.json.decode(
                    await self.current.ask(f"/cells/{number}/{since}"), type=tuple[CellUser, ...]
                )
        except (OSError, TimeoutError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return CellUsers()
        users = {user.script: user for user in reported}
        for script, load in child.active_loads:
            user = users.get(script, CellUser(script))
            users[script] = replace(user, loads=(*user.loads, load))
        return CellUsers(tuple(users.values()))

    def cpu_seconds(self, scripts: tuple[str, ...]) -> float:
        """Implement `CellObserver.cpu_seconds`."""
        return max(map(self._scripts.cpu_seconds, scripts), default=CPU_SECONDS)

    async def on_busy(self, number: int, cell_users: CellUsers) -> None:
        """Implement `CellObserver.on_busy`."""
        _log.info("script.busy", scripts=cell_users.scripts, cell=number)
        await self._try_send_fleet()

    async def on_freed(self, child: Child, cell_users: CellUsers) -> None:
        """Implement `CellObserver.on_freed`. The process first accepts all messages that it was sent meanwhile."""
        await asyncio.gather(*child.pending_pushes, return_exceptions=True)
        child.busy = False
        for user in cell_users.users:
            if user.waits or len(cell_users.users) == 1:
                self.holds.mark_heavy(user.script, self._scripts.code_digest(user.script))
        await self._try_send_fleet()

    async def on_fault(self, number: int, cell_users: CellUsers, reason: str) -> None:
        """Implement `CellObserver.on_fault`.

        If one script used the cell alone, it is held apart. If several did, each must run alone from now on. The
        version that is served now is not blamed for an earlier one.
        """
        served = [
            user.script
            for user in cell_users.users
            if all(self._scripts.serves(user.script, load) for load in user.loads)
        ]
        if not cell_users.users:
            _log.error("workerd.hung", part=f"cell-{number}", reason=reason)
        elif len(cell_users.users) > 1:
            self.holds.run_alone(served)
            _log.error("script.suspected", scripts=served, cell=number, reason=reason)
        elif served:
            self._hold(served[0], reason)
        else:
            _log.error(
                "script.ended", scripts=cell_users.scripts, cell=number, reason=f"{reason}, in an earlier version"
            )
        await self._try_send_fleet()

    async def on_work_reported(self) -> None:
        """Implement `CellObserver.on_work_reported`: tell the main processes, which choose the cells for requests."""
        with suppress(NightsafeError):
            await self._push_to_all("/fleet", msgspec.json.encode(self.fleet()), list(self._main.children))

    def _hold(self, script: str, reason: str) -> None:
        """Hold a script apart; the reason mentions that a script that it calls may be to blame instead."""
        callees = self._scripts.callees(script)
        if callees:
            reason += f", or a script that it calls did: {', '.join(callees[:_MAX_NAMED])}"
        hold = self.holds.hold_apart(script, self._scripts.code_digest(script), reason, callees)
        self.changed.set()
        _log.error("script.held", script=script, seconds=hold.pause, reason=reason)

    async def _on_overdue(self, child: Child, _: Probe) -> bool:
        """Have a main process that computes replaced; it may finish its requests."""
        _log.warning("workerd.busy", pid=child.pid, part=child.part)
        child.busy = True
        return True

    async def _retire(self, child: Child) -> None:
        """End a main process that was replaced, or keep it for its connections.

        A busy process may go on for as long as the other requests in it can wait. When it answers again, it stays,
        because clients keep connections to it, but it hands every request to a cell.
        """
        if child.busy and await self._wait_until_unblocked(child) and self._cells:
            with suppress(NightsafeError):
                await child.push("/retire", b"")
                self._lingering.append(child)
                if len(self._lingering) <= _MAX_LINGERING:
                    return
                child = self._lingering.pop(0)
        await self._main.end(child)

    async def _wait_until_unblocked(self, child: Child) -> bool:
        """Wait for a busy process; return True if it answers again, False if it has ended or was killed."""
        probe = Probe(child)
        try:
            if await probe.wait_for_answer(cpu=self._limits.stall_cpu_seconds, idle=self._limits.idle_seconds):
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
        await self._try_send_fleet()

    async def _add_cell(self) -> None:
        """Start a cell under the next number; raise NightsafeError UNAVAILABLE when it does not start."""
        number = next(candidate for candidate in range(1, MAX_CELLS + 1) if candidate not in self._cells)
        part = f"cell-{number}"
        make_child = partial(self._make_child, part)
        self._cells[number] = cell = Cell(
            number, self._folder, make_child, self._limits.of_cell(), self, self._try_send_fleet
        )
        try:
            await cell.keeper.start()
        except BaseException:
            del self._cells[number]
            await cell.stop()
            raise

    async def _try_send_fleet(self) -> None:
        """Tell every process about the others. The successor of a process that had to be killed asks by itself."""
        with suppress(NightsafeError):
            await self.send_fleet()

    def _all_children(self) -> Iterator[Child]:
        """Yield every process that has not ended."""
        yield from self._main.children
        for cell in self._cells.values():
            yield from cell.keeper.children

    async def _push_to_all(self, path: str, body: bytes, children: Iterable[Child]) -> None:
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
        child.pending_pushes.add(push)
        push.add_done_callback(child.pending_pushes.discard)
        if not child.ready:  # it asks when it starts, and takes newer messages when it can
            push.add_done_callback(_ignore_result)
            return
        end = time.monotonic() + _DEAF_SECONDS
        while not push.done() and not child.busy and time.monotonic() < end:
            await asyncio.wait({push}, timeout=_POLL_SECONDS)
        if child.busy:
            push.add_done_callback(_ignore_result)
            return
        error = push.exception() if push.done() else NightsafeError(Code.UNAVAILABLE, "workerd accepts no message")
        if error is None:
            return
        push.cancel()
        if child.alive and not (child.terminating and push.done()):
            reason = error.problems[0].detail if isinstance(error, NightsafeError) else type(error).__name__
            _log.warning("workerd.deaf", pid=child.pid, part=child.part, reason=reason)
            await child.kill()
            raise error


def _ignore_result(push: "asyncio.Future[None]") -> None:
    """Ignore the result of a message to a busy process: if the process ends, its successor asks by itself."""
    if not push.cancelled():
        push.exception()
