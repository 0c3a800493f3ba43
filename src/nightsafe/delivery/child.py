"""One workerd process."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Final

from nightsafe.delivery.control import unix_socket
from nightsafe.delivery.wire import Caller, MalformedError
from nightsafe.errors import Code, NightsafeError

_LAUNCH: Final = Path(__file__).with_name("launch.py")
_RUNTIME: Final = files("nightsafe.delivery") / "runtime"
_SOCKETS: Final = frozenset({"http", "admin"})
_START_SECONDS: Final = 20.0
_CALL_SECONDS: Final = 5.0
_TICK: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")

Lines = Callable[[bytes], None]


class Child:
    """A workerd on inherited sockets. It has no environment, no secret in its arguments, and dies with this process.

    Args:
        binary: what to run.
        listener: where requests come in; it stays open here when the child is gone.
        control: the socket it asks.
        admin: where to make the socket that it is told things on.
        output: is given each line that it prints.
        reach_private: whether scripts may fetch from private networks.
    """

    def __init__(  # noqa: PLR0913 - what a process needs
        self,
        binary: Path,
        listener: socket.socket,
        control: Path,
        admin: Path,
        output: Lines,
        *,
        reach_private: bool = False,
    ) -> None:
        self._binary = binary
        self._config = _RUNTIME / ("private.capnp" if reach_private else "runtime.capnp")
        self._listener = listener
        self._control = control
        self._admin = admin
        self._output = output
        self._process: asyncio.subprocess.Process | None = None
        self._calls: Final = Caller(admin)
        self._probes: Final = Caller(admin)
        self._pumps: list[asyncio.Task[None]] = []
        self._ready: Final = asyncio.Event()
        self._exited: asyncio.Task[int] | None = None

    @property
    def pid(self) -> int:
        """Its process id; 0 before it is started."""
        return self._process.pid if self._process else 0

    @property
    def alive(self) -> bool:
        """Whether it runs, as far as is known."""
        return self._exited is not None and not self._exited.done()

    async def start(self) -> None:
        """Start it and wait until it listens.

        Raises:
            NightsafeError: UNAVAILABLE, when it ends or is silent instead.
        """
        admin = unix_socket(self._admin)
        news, said = os.pipe()
        try:
            await self._spawn(admin, said)
        except OSError as error:
            os.close(news)
            raise NightsafeError(Code.UNAVAILABLE, f"workerd cannot be started: {error.strerror}") from None
        finally:
            admin.close()
            os.close(said)
        try:
            await asyncio.wait_for(self._until_listening(news), _START_SECONDS)
        except (TimeoutError, ValueError, KeyError):
            await self.kill()
            raise NightsafeError(Code.UNAVAILABLE, "workerd did not begin to listen") from None

    async def _spawn(self, admin: socket.socket, said: int) -> None:
        """Run the program with what it inherits."""
        handed = {"http": self._listener.fileno(), "admin": admin.fileno()}
        sockets = [part for name, number in handed.items() for part in ("--socket-fd", f"{name}={number}")]
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-I", "-S", str(_LAUNCH), str(os.getpid()), str(self._binary)),
            *("serve", "--experimental", str(self._config), "--external-addr", f"cp=unix:{self._control}"),
            *sockets,
            *("--control-fd", str(said)),
            pass_fds=(*handed.values(), said),
            env={},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        self._exited = asyncio.create_task(self._process.wait())
        assert self._process.stdout is not None  # noqa: S101 - asked for above
        assert self._process.stderr is not None  # noqa: S101 - asked for above
        self._pumps = [
            asyncio.create_task(_pump(pipe, self._output)) for pipe in (self._process.stdout, self._process.stderr)
        ]

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
        """Tell it something, once it listens.

        Raises:
            NightsafeError: UNAVAILABLE, when it has not taken it in time.
        """
        try:
            await self._until_ready()
            async with asyncio.timeout(_CALL_SECONDS):
                status, _ = await self._calls.call("PUT", path, body)
        except (TimeoutError, OSError, MalformedError):
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
        with suppress(OSError):
            return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE
        return 0

    async def wait(self) -> int:
        """Its exit code, once it has ended; its sockets are then gone too."""
        assert self._exited is not None  # noqa: S101 - only of a started one
        code = await asyncio.shield(self._exited)
        await asyncio.gather(*self._pumps, return_exceptions=True)
        self._calls.close()
        self._probes.close()
        self._admin.unlink(missing_ok=True)
        return code

    def terminate(self) -> None:
        """Ask it to finish what it has begun and end."""
        self._signal(signal.SIGTERM)

    async def kill(self) -> None:
        """End it at once."""
        self._signal(signal.SIGKILL)
        if self._exited is not None:
            await self.wait()

    def _signal(self, number: int) -> None:
        """Send it a signal, if it is there."""
        if self._process is not None and self.alive:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)


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
