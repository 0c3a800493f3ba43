"""The API's process beside a delivery process: started anew when it ends, on a socket that stays open meanwhile.

Requests that come while there is no such process wait in the socket's queue.
"""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

import structlog
from msgspec import Struct

from nightsafe.errors import Code, NightsafeError

_log = structlog.get_logger()

_READY: Final = "listening on "
_END_SECONDS: Final = 2.0


class Patience(Struct, frozen=True, kw_only=True):
    """When to start it anew, and when no longer.

    Attributes:
        deaths: in a row, each soon after its start, after which there is no further try.
        soon_seconds: how long one must have run to have started well.
        pause_seconds: before it is started anew; doubled with each further death in a row.
        longest_pause_seconds: it grows no further than that.
        start_seconds: how long it may take until it is ready.
        stop_seconds: how long it may take to finish the requests in flight when it is told to end.
    """

    deaths: int = 6
    soon_seconds: float = 20.0
    pause_seconds: float = 0.1
    longest_pause_seconds: float = 5.0
    start_seconds: float = 30.0
    stop_seconds: float = 70.0


class ApiProcess:
    """The API on a socket of ours.

    Args:
        arguments: the command line of `serve`; no secret is among it.
        listener: where it is reached; this closes it at its end.
        patience: when to start it anew.
        inherited: further descriptors that it is given.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        listener: socket.socket,
        patience: Patience | None = None,
        inherited: Iterable[int] = (),
    ) -> None:
        self._arguments: Final = arguments
        self._listener: Final = listener
        self._patience: Final = patience or Patience()
        self._inherited: Final = inherited
        self._process: asyncio.subprocess.Process | None = None
        self._ready = False

    async def start(self) -> str:
        """Start it for the first time; gives its address.

        Raises:
            NightsafeError: UNAVAILABLE, when it does not start; it has said why.
        """
        url = await self._launch()
        if url is None:
            raise NightsafeError(Code.UNAVAILABLE, "the API did not start")
        return url

    async def watch(self) -> None:
        """Start it anew whenever it has ended.

        Raises:
            NightsafeError: UNAVAILABLE, with why this is given up.
        """
        deaths = 0
        while True:
            began = time.monotonic()
            code = await self._ended()
            deaths = deaths + 1 if time.monotonic() - began < self._patience.soon_seconds else 1
            _log.error("api.ended", reason=_words(code), deaths=deaths)
            if deaths >= self._patience.deaths:
                raise self._given_up(deaths, code)
            await asyncio.sleep(self._pause(deaths))
            if await self._launch() is not None:
                _log.info("api.started", deaths=deaths)

    def hang_up(self) -> None:
        """Have it take up new certificates and log files. One that only starts has them already."""
        if self._process is not None and self._process.returncode is None and self._ready:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGHUP)

    async def stop(self) -> None:
        """Let it finish the requests in flight, and let nobody wait for it any longer."""
        self._listener.close()
        if self._process is None:
            return
        if self._process.returncode is None:
            self._process.terminate()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), self._patience.stop_seconds)
        await self._kill()

    async def _launch(self) -> str | None:
        """Start a process and wait until it is ready; gives its address, or None when it is not to be had."""
        descriptor, self._ready = self._listener.fileno(), False
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-P", "-m", "nightsafe.cli.server.api_child", str(os.getpid()), str(descriptor), *self._arguments),
            pass_fds=(descriptor, *self._inherited),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdout is not None  # noqa: S101 - asked for above
        line = b""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience.start_seconds):  # `wait_for` can swallow a cancellation
                line = await self._process.stdout.readline()
        if line.startswith(_READY.encode()):
            self._ready = True
            return line.decode().split()[-1]
        with suppress(TimeoutError):  # it ends by itself, as a rule: its own exit code says more
            async with asyncio.timeout(_END_SECONDS):
                await self._process.wait()
        await self._kill()
        return None

    async def _ended(self) -> int:
        """The exit code of the process, once it has ended."""
        assert self._process is not None  # noqa: S101 - only of a started one
        return await self._process.wait()

    async def _kill(self) -> None:
        """End it at once, unless it has ended."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    def _pause(self, deaths: int) -> float:
        """Seconds before the next try."""
        return min(self._patience.pause_seconds * (1 << (deaths - 1)), self._patience.longest_pause_seconds)

    def _given_up(self, deaths: int, code: int) -> NightsafeError:
        """The end of all tries."""
        why = f"it ended {deaths} times in a row, each time within {self._patience.soon_seconds:g} s of its start"
        return NightsafeError(Code.UNAVAILABLE, f"the API is given up: {why}, at last with {_words(code)}")


def _words(code: int) -> str:
    """What an exit code says."""
    return f"signal {-code}" if code < 0 else f"exit code {code}"
