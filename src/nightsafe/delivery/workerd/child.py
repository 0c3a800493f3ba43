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

LineSink = Callable[[bytes], None]
ActiveLoads = tuple[tuple[str, int], ...]
"""Pairs of a script and one of its loads."""


class Child:
    """A workerd on inherited sockets. It has no environment, no secret in its arguments, and dies with this process.

    Args:
        binary: path of workerd.
        listener: the socket for requests; it stays open in this process when the child is gone.
        external: unix sockets that the child may connect to, by the names that its configuration uses.
        admin_path: path at which to make the child's admin socket. The path is removed before the child starts, and
            only this process holds a descriptor that leads to the socket: no other process of this user can find it.
        output: receives each line that the runtime itself prints; None to discard them. The output of scripts is not
            included: it is discarded, because a process that read it slowly would hold workerd up.
        part: the child's part: `main`, or `cell-` and a number.
        reach: the directory of the file with the addresses that scripts may connect to.
        behind_proxies: whether there are proxies whose statements about their clients are believed.
    """

    def __init__(  # noqa: PLR0913 - what a process needs
        self,
        binary: Path,
        listener: socket.socket,
        external: Mapping[str, Path],
        admin_path: Path,
        output: LineSink | None,
        *,
        part: str,
        reach: Path,
        behind_proxies: bool = False,
    ) -> None:
        self._binary = binary
        self._config_name = part.partition("-")[0] + ("BehindProxies" if behind_proxies and part == "main" else "")
        self._reach = reach
        self._listener = listener
        self._external = external
        self._admin_path = admin_path
        self._admin_fd = -1
        self._output = output
        self.part: Final = part
        self.busy = False
        """Whether the process computes and does not answer."""
        self.terminating = False
        """Whether the process was asked to end: it takes no new requests."""
        self.killed = False
        """Whether this object killed the process."""
        self.active_loads: ActiveLoads = ()
        """The work that the process had under way when it last answered a probe."""
        self.started_at = 0.0
        """When the process was started, in seconds since 1970."""
        self.probed_at = 0.0
        """When the last probe that it answered was sent, in seconds since 1970."""
        self.peak_bytes = 0
        """The largest amount of memory measured so far, in bytes."""
        self.known_scripts: Final[set[str]] = set()
        """The scripts whose routes the process has requested."""
        self.pending_pushes: Final[set[asyncio.Future[None]]] = set()
        """Messages to the process that it has not accepted yet."""
        self._process: asyncio.subprocess.Process | None = None
        self._calls = Caller(admin_path)
        self._probes = Caller(admin_path)
        self._output_tasks: list[asyncio.Task[None]] = []
        self._ready: Final = asyncio.Event()
        self._exited: asyncio.Task[int] | None = None
        self._pidfd = -1

    @property
    def pid(self) -> int:
        """The process id; 0 before the start."""
        return self._process.pid if self._process else 0

    @property
    def alive(self) -> bool:
        """Whether the process runs, as far as is known."""
        return self._exited is not None and not self._exited.done()

    @property
    def ready(self) -> bool:
        """Whether the process has begun to listen."""
        return self._ready.is_set()

    @property
    def admin(self) -> Path:
        """The path that leads to the admin socket, valid in this process only."""
        return Path(f"/proc/self/fd/{self._admin_fd}")

    async def start(self) -> None:
        """Start the process and wait until it listens.

        Raises:
            NightsafeError: UNAVAILABLE, when the process ends or stays silent instead.
        """
        admin = self._listen()
        control_read, control_write = os.pipe()
        try:
            await self._spawn(admin, control_write)
        except OSError as error:
            os.close(control_read)
            self._close_descriptors()
            raise NightsafeError(Code.UNAVAILABLE, f"workerd cannot be started: {error.strerror}") from None
        finally:
            admin.close()
            os.close(control_write)
        try:
            await asyncio.wait_for(self._wait_until_listening(control_read), _START_SECONDS)
        except (TimeoutError, ValueError, KeyError):
            await self.kill()
            raise NightsafeError(Code.UNAVAILABLE, "workerd did not begin to listen") from None
        except BaseException:  # otherwise an unsupervised process would take requests
            await self.kill()
            raise

    def _listen(self) -> socket.socket:
        """Make the admin socket and remove its path; a descriptor of the socket's file still leads to it."""
        admin = unix_socket(self._admin_path)
        self._admin_fd = os.open(self._admin_path, os.O_PATH | os.O_CLOEXEC)
        self._admin_path.unlink()
        self._calls, self._probes = Caller(self.admin), Caller(self.admin)
        return admin

    async def _spawn(self, admin: socket.socket, control_write: int) -> None:
        """Run the program with the descriptors that it inherits."""
        inherited = {"http": self._listener.fileno(), "admin": admin.fileno()}
        sockets = [part for name, number in inherited.items() for part in ("--socket-fd", f"{name}={number}")]
        self.started_at = time.time()
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-I", "-S", str(LAUNCH), str(os.getpid()), str(self._binary)),
            *("serve", "--experimental", f"--import-path={self._reach}", str(_CONFIG), self._config_name),
            *(part for name, path in self._external.items() for part in ("--external-addr", f"{name}=unix:{path}")),
            *sockets,
            *("--control-fd", str(control_write)),
            pass_fds=(*inherited.values(), control_write),
            env={},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE if self._output else asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        with suppress(ProcessLookupError):  # the process has ended already
            self._pidfd = os.pidfd_open(self._process.pid)
        self._exited = asyncio.create_task(self._process.wait())
        if self._output is not None and self._process.stderr is not None:
            self._output_tasks = [asyncio.create_task(_forward_lines(self._process.stderr, self._output))]

    async def _wait_until_listening(self, control_read: int) -> None:
        """Read the process's announcements of its sockets until it listens on both."""
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(control_read, "rb")
        )
        try:
            waiting = set(_SOCKETS)
            while waiting:
                announcement = json.loads(await reader.readline())
                if announcement["event"] == "listen":
                    waiting.discard(announcement["socket"])
            self._ready.set()
        finally:
            transport.close()

    async def push(self, path: str, body: bytes) -> None:
        """Send a message to the process as soon as it listens, and wait without a time limit until it accepts it.

        Raises:
            NightsafeError: UNAVAILABLE, when the process is gone or does not accept the message.
        """
        try:
            await self._wait_until_ready()
            status, _ = await self._calls.call("PUT", path, body)
        except (OSError, MalformedError):
            raise NightsafeError(Code.UNAVAILABLE, "workerd does not accept a message") from None
        if status != 204:  # noqa: PLR2004 - the status for success
            raise NightsafeError(Code.UNAVAILABLE, f"workerd answered a message with {status}")

    async def _wait_until_ready(self) -> None:
        """Wait until the process listens; raise OSError when it has ended."""
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
        """Ask the process a question on a separate connection; it answers unless it hangs.

        Raises:
            OSError: when the process is gone.
        """
        try:
            return (await self._probes.call("GET", path))[1]
        except MalformedError:
            raise ConnectionResetError from None

    def cpu_seconds(self) -> float:
        """Return the user and system time that the process has used (proc(5)); 0 when it is gone."""
        with suppress(OSError):
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / _TICK
        return 0.0

    def resident_bytes(self) -> int:
        """Return the memory that the process holds; 0 when it is gone."""
        resident = 0
        with suppress(OSError):
            resident = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE
        self.peak_bytes = max(self.peak_bytes, resident)
        return resident

    async def wait(self) -> int:
        """Wait until the process has ended, close its sockets, and return its exit code."""
        assert self._exited is not None  # noqa: S101 - called only after `start`
        code = await asyncio.shield(self._exited)
        await asyncio.gather(*self._output_tasks, return_exceptions=True)
        self._calls.close()
        self._probes.close()
        self._close_descriptors()
        return code

    def _close_descriptors(self) -> None:
        """Close the descriptors of the process and its admin socket."""
        for descriptor in (self._pidfd, self._admin_fd):
            if descriptor >= 0:
                os.close(descriptor)
        self._pidfd = self._admin_fd = -1

    def terminate(self) -> None:
        """Ask the process to finish its requests and end."""
        self.terminating = True
        self._signal(signal.SIGTERM)

    async def kill(self) -> None:
        """End the process at once."""
        self.killed = True
        self._signal(signal.SIGKILL)
        if self._exited is not None:
            await self.wait()

    def _signal(self, number: int) -> None:
        """Send the process a signal, if it still runs.

        This does not use the process object, which would check whether the process has ended and thereby take its
        exit code away from the task that waits for it.
        """
        if self._pidfd >= 0 and self.alive:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)


async def _forward_lines(pipe: asyncio.StreamReader, output: LineSink) -> None:
    """Read a pipe to its end line by line, and a line that is too long in parts."""
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
