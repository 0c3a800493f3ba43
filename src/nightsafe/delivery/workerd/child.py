"""One workerd process."""

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Final

from nightsafe.delivery.workerd.binary import LAUNCH
from nightsafe.delivery.workerd.control import unix_socket
from nightsafe.delivery.workerd.wire import Caller, MalformedError
from nightsafe.errors import Code, NightsafeError

_CONFIG: Final = files("nightsafe.delivery") / "runtime" / "runtime.capnp"
_SOCKETS: Final = frozenset({"http", "admin"})
_START_SECONDS: Final = 20.0
_TICK: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")

Lines = Callable[[bytes], None]
Going = tuple[tuple[str, int], ...]
"""Pairs of a script and one of its loads."""


class Child:
    """A workerd on inherited sockets. It has no environment, no secret in its arguments, and dies with this process.

    Args:
        binary: what to run.
        listener: where requests come in; it stays open here when the child is gone.
        reached: unix sockets that it may connect to, by the names that its configuration has for them.
        door: where to make the socket that it is told things on. The name is gone before it is started, and only this
            process holds what leads there: no other of this user finds it.
        output: is given each line of the runtime's own; None for whom it does not interest. What scripts print is
            not among them: that goes nowhere by this way, for a process that reads it slowly would hold workerd up.
        part: what it is: `main`, or `cell-` and a number.
        reach: the directory of the file that says where scripts may connect to.
        behind_proxies: whether there are proxies that are believed what they say of their clients.
    """

    def __init__(  # noqa: PLR0913 - what a process needs
        self,
        binary: Path,
        listener: socket.socket,
        reached: Mapping[str, Path],
        door: Path,
        output: Lines | None,
        *,
        part: str,
        reach: Path,
        behind_proxies: bool = False,
    ) -> None:
        self._binary = binary
        self._constant = part.partition("-")[0] + ("BehindProxies" if behind_proxies and part == "main" else "")
        self._reach = reach
        self._listener = listener
        self._reached = reached
        self._door = door
        self._held = -1
        self._output = output
        self.part: Final = part
        self.busy = False
        """Whether it computes and does not answer."""
        self.leaving = False
        """Whether it was asked to end: it takes no new requests."""
        self.killed = False
        """Whether it was killed from here."""
        self.going: Going = ()
        """What it had under way when it last answered a probe."""
        self.started_at = 0.0
        """When it was started, in seconds since 1970."""
        self.heard_at = 0.0
        """When that probe was sent, in seconds since 1970."""
        self.largest = 0
        """The most memory it was seen to hold, in bytes."""
        self.knows: Final[set[str]] = set()
        """Scripts of which it has asked how they are served."""
        self.owed: Final[set[asyncio.Future[None]]] = set()
        """What it is being told."""
        self._process: asyncio.subprocess.Process | None = None
        self._calls = Caller(door)
        self._probes = Caller(door)
        self._pumps: list[asyncio.Task[None]] = []
        self._ready: Final = asyncio.Event()
        self._exited: asyncio.Task[int] | None = None
        self._pidfd = -1

    @property
    def pid(self) -> int:
        """Its process id; 0 before it is started."""
        return self._process.pid if self._process else 0

    @property
    def alive(self) -> bool:
        """Whether it runs, as far as is known."""
        return self._exited is not None and not self._exited.done()

    @property
    def ready(self) -> bool:
        """Whether it has begun to listen."""
        return self._ready.is_set()

    @property
    def admin(self) -> Path:
        """What leads to the socket that it is told things on, in this process."""
        return Path(f"/proc/self/fd/{self._held}")

    async def start(self) -> None:
        """Start it and wait until it listens.

        Raises:
            NightsafeError: UNAVAILABLE, when it ends or is silent instead.
        """
        admin = self._listen()
        news, said = os.pipe()
        try:
            await self._spawn(admin, said)
        except OSError as error:
            os.close(news)
            self._let_go()
            raise NightsafeError(Code.UNAVAILABLE, f"workerd cannot be started: {error.strerror}") from None
        finally:
            admin.close()
            os.close(said)
        try:
            await asyncio.wait_for(self._until_listening(news), _START_SECONDS)
        except (TimeoutError, ValueError, KeyError):
            await self.kill()
            raise NightsafeError(Code.UNAVAILABLE, "workerd did not begin to listen") from None
        except BaseException:  # nobody would know of it, and it would take requests
            await self.kill()
            raise

    def _listen(self) -> socket.socket:
        """The socket that it is told things on. A descriptor of its place leads there when its name is gone."""
        admin = unix_socket(self._door)
        self._held = os.open(self._door, os.O_PATH | os.O_CLOEXEC)
        self._door.unlink()
        self._calls, self._probes = Caller(self.admin), Caller(self.admin)
        return admin

    async def _spawn(self, admin: socket.socket, said: int) -> None:
        """Run the program with what it inherits."""
        handed = {"http": self._listener.fileno(), "admin": admin.fileno()}
        sockets = [part for name, number in handed.items() for part in ("--socket-fd", f"{name}={number}")]
        self.started_at = time.time()
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-I", "-S", str(LAUNCH), str(os.getpid()), str(self._binary)),
            *("serve", "--experimental", f"--import-path={self._reach}", str(_CONFIG), self._constant),
            *(part for name, path in self._reached.items() for part in ("--external-addr", f"{name}=unix:{path}")),
            *sockets,
            *("--control-fd", str(said)),
            pass_fds=(*handed.values(), said),
            env={},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE if self._output else asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        with suppress(ProcessLookupError):  # it has ended already
            self._pidfd = os.pidfd_open(self._process.pid)
        self._exited = asyncio.create_task(self._process.wait())
        if self._output is not None and self._process.stderr is not None:
            self._pumps = [asyncio.create_task(_pump(self._process.stderr, self._output))]

    async def _until_listening(self, news: int) -> None:
        """Read what it says of its sockets until it has both."""
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(news, "rb")
        )
        try:
            waiting = set(_SOCKETS)
            while waiting:
                told = json.loads(await reader.readline())
                if told["event"] == "listen":
                    waiting.discard(told["socket"])
            self._ready.set()
        finally:
            transport.close()

    async def push(self, path: str, body: bytes) -> None:
        """Tell it something, once it listens, however long it takes to take it.

        Raises:
            NightsafeError: UNAVAILABLE, when it is gone or does not take it.
        """
        try:
            await self._until_ready()
            status, _ = await self._calls.call("PUT", path, body)
        except (OSError, MalformedError):
            raise NightsafeError(Code.UNAVAILABLE, "workerd does not take what it is told") from None
        if status != 204:  # noqa: PLR2004 - that is how it says yes
            raise NightsafeError(Code.UNAVAILABLE, f"workerd answered {status} to what it was told")

    async def _until_ready(self) -> None:
        """Return when it listens; OSError when it has ended."""
        if self._ready.is_set() and self.alive:
            return
        ready = asyncio.create_task(self._ready.wait())
        try:
            await asyncio.wait(
                {ready, self._exited} if self._exited else {ready}, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            ready.cancel()
        if not self.alive:
            raise ConnectionResetError

    async def ask(self, path: str) -> bytes:
        """Ask it something on a connection of its own; it answers unless it hangs.

        Raises:
            OSError: when it is gone.
        """
        try:
            return (await self._probes.call("GET", path))[1]
        except MalformedError:
            raise ConnectionResetError from None

    def cpu_seconds(self) -> float:
        """User and system time it has used (proc(5)); 0 when it is gone."""
        with suppress(OSError):
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / _TICK
        return 0.0

    def resident_bytes(self) -> int:
        """Memory it holds; 0 when it is gone."""
        held = 0
        with suppress(OSError):
            held = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE
        self.largest = max(self.largest, held)
        return held

    async def wait(self) -> int:
        """Its exit code, once it has ended; its sockets are then gone too."""
        assert self._exited is not None  # noqa: S101 - only of a started one
        code = await asyncio.shield(self._exited)
        await asyncio.gather(*self._pumps, return_exceptions=True)
        self._calls.close()
        self._probes.close()
        self._let_go()
        return code

    def _let_go(self) -> None:
        """Close what leads to it."""
        for held in (self._pidfd, self._held):
            if held >= 0:
                os.close(held)
        self._pidfd = self._held = -1

    def terminate(self) -> None:
        """Ask it to finish what it has begun and end."""
        self.leaving = True
        self._signal(signal.SIGTERM)

    async def kill(self) -> None:
        """End it at once."""
        self.killed = True
        self._signal(signal.SIGKILL)
        if self._exited is not None:
            await self.wait()

    def _signal(self, number: int) -> None:
        """Send it a signal, if it is there.

        Not by the process object: that would look whether it has ended, and take its exit code from whoever waits.
        """
        if self._pidfd >= 0 and self.alive:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)


async def _pump(pipe: asyncio.StreamReader, output: Lines) -> None:
    """Read a pipe to its end, line by line; of an endless line, its parts."""
    while True:
        try:
            line = await pipe.readuntil(b"\n")
        except asyncio.IncompleteReadError as error:
            if error.partial:
                output(error.partial)
            return
        except asyncio.LimitOverrunError as error:
            line = await pipe.read(error.consumed or 1)
        output(line)
