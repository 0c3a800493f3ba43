"""Starts an API process under `nightsafe run` or `nightsafe serve --workers`, and restarts it when it ends.

The socket stays open. Requests that arrive while no API process runs wait in the socket's queue.
"""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import structlog
from msgspec import Struct

from nightsafe.cli.server.workers.inherited import BESIDE_DELIVERY
from nightsafe.errors import Code, NightsafeError

if TYPE_CHECKING:
    from nightsafe.services.delivery.sibling_links import SiblingLinks

_log = structlog.get_logger()

_READY: Final = "listening on "
_END_SECONDS: Final = 2.0


class RestartLimits(Struct, frozen=True, kw_only=True):
    """When to restart the API's process, and when to give up.

    Attributes:
        deaths: give up after this many ends in a row, each soon after the start.
        soon_seconds: a process that ran at least this long has started successfully.
        pause_seconds: pause before a restart; it doubles with each further end in a row.
        longest_pause_seconds: upper limit of the pause.
        start_seconds: time that a process may take to become ready.
        stop_seconds: time that a process may take to finish the requests in flight after SIGTERM.
    """

    deaths: int = 6
    soon_seconds: float = 20.0
    pause_seconds: float = 0.1
    longest_pause_seconds: float = 5.0
    start_seconds: float = 30.0
    stop_seconds: float = 70.0


class ApiProcess:
    """The API's process, on a socket of this process.

    Args:
        arguments: the command line of `serve`; it contains no secret.
        listener: the listening socket; `stop` closes it.
        limits: when to restart the process.
        inherited: further descriptors that the process inherits.
        links: the links to the other API processes; None if there are no others.
        place: `BESIDE_DELIVERY` if this process has the private ring, else `ALONE`.
    """

    def __init__(  # noqa: PLR0913 - what a process needs
        self,
        arguments: Sequence[str],
        listener: socket.socket,
        limits: RestartLimits | None = None,
        inherited: Iterable[int] = (),
        *,
        links: "SiblingLinks | None" = None,
        place: str = BESIDE_DELIVERY,
    ) -> None:
        self._arguments: Final = arguments
        self._listener: Final = listener
        self._limits: Final = limits or RestartLimits()
        self._inherited: Final = inherited
        self._links: Final = links
        self._place: Final = place
        self._process: asyncio.subprocess.Process | None = None
        self._ready = False

    async def start(self) -> str:
        """Start the process for the first time. Return its address.

        Raises:
            NightsafeError: UNAVAILABLE, if it does not start; the process has printed the reason.
        """
        url = await self._launch()
        if url is None:
            raise NightsafeError(Code.UNAVAILABLE, "the API did not start")
        return url

    async def watch(self) -> None:
        """Restart the process each time it ends.

        Raises:
            NightsafeError: UNAVAILABLE, with the reason, when this gives up.
        """
        deaths = 0
        while True:
            began = time.monotonic()
            code = await self._wait_for_end()
            deaths = deaths + 1 if time.monotonic() - began < self._limits.soon_seconds else 1
            _log.error("api.ended", reason=_describe_exit(code), deaths=deaths)
            if deaths >= self._limits.deaths:
                raise self._give_up_error(deaths, code)
            await asyncio.sleep(self._pause(deaths))
            if await self._launch() is not None:
                _log.info("api.started", deaths=deaths)

    def send_hangup(self) -> None:
        """Send SIGHUP: the process reloads certificates and log files. A starting process reads them anyway."""
        if self._process is not None and self._process.returncode is None and self._ready:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGHUP)

    async def stop(self) -> None:
        """Close the socket and stop the process after the requests in flight, or kill it after `stop_seconds`."""
        self._listener.close()
        if self._process is None:
            return
        if self._process.returncode is None:
            self._process.terminate()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), self._limits.stop_seconds)
        await self._kill()

    async def _launch(self) -> str | None:
        """Start a process and wait until it is ready. Return its address, or None if it did not become ready."""
        descriptor, self._ready = self._listener.fileno(), False
        links, descriptors = (self._links.as_argument(), self._links.descriptors) if self._links else ("", ())
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-P", "-m", "nightsafe.cli.server.api_child", str(os.getpid()), str(descriptor)),
            *(self._place, links, *self._arguments),
            pass_fds=(descriptor, *self._inherited, *descriptors),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdout is not None  # noqa: S101 - asked for above
        line = b""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._limits.start_seconds):  # `wait_for` can swallow a cancellation
                line = await self._process.stdout.readline()
        if line.startswith(_READY.encode()):
            self._ready = True
            return line.decode().split()[-1]
        with suppress(TimeoutError):  # usually it ends by itself, and its own exit code says more
            async with asyncio.timeout(_END_SECONDS):
                await self._process.wait()
        await self._kill()
        return None

    async def _wait_for_end(self) -> int:
        """Wait until the process ends. Return its exit code."""
        assert self._process is not None  # noqa: S101 - the process was started
        return await self._process.wait()

    async def _kill(self) -> None:
        """Kill the process unless it has ended."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    def _pause(self, deaths: int) -> float:
        """Return the pause before the next start, in seconds."""
        return min(self._limits.pause_seconds * (1 << (deaths - 1)), self._limits.longest_pause_seconds)

    def _give_up_error(self, deaths: int, code: int) -> NightsafeError:
        """Return the error that ends all restarts."""
        reason = f"it ended {deaths} times in a row, each time within {self._limits.soon_seconds:g} s of its start"
        return NightsafeError(
            Code.UNAVAILABLE,
            f"the API is not restarted any more: {reason}, the last time with {_describe_exit(code)}",
        )


def _describe_exit(code: int) -> str:
    """Describe an exit code or signal."""
    return f"signal {-code}" if code < 0 else f"exit code {code}"
