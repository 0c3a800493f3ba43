"""The life of the API's server on its socket: start, change of certificates, orderly end."""

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import structlog

from nightsafe.cli.server.listener import HEADER_SECONDS, ListeningServer, wait_until_ready
from nightsafe.cli.tls.files import TlsFiles, check_tls_files
from nightsafe.cli.tls.reload_resources import ReloadResources
from nightsafe.cli.tls.trial import try_tls_files
from nightsafe.errors import NightsafeError

_log = structlog.get_logger()

_STOP_SECONDS: Final = 60.0
_DRAIN_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.02
_QUIET_POLLS: Final = 3
_IDLE_POLLS: Final = 50
_MAX_RETIRED: Final = 8

Message = MutableMapping[str, Any]
Application = Callable[[Any, Any, Any], Awaitable[None]]


class RequestCounter:
    """A layer between a server and the application: counts requests, and can make clients open new connections.

    Args:
        app: the application.
    """

    __slots__ = ("_app", "closing", "request_count")

    def __init__(self, app: Application) -> None:
        self._app = app
        self.closing = False
        """Whether every connection ends after its next answer."""
        self.request_count = 0
        """The number of requests so far."""

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        """Answer one ASGI request. For speed this is a plain function: it adds no coroutine to each request."""
        self.request_count += 1
        return self._app(scope, receive, _closing(send) if self.closing else send)


def _closing(send: Any) -> Any:
    """Return an ASGI `send` that marks the answer as the last of its connection."""

    async def last(message: Message) -> None:
        """Send one ASGI message."""
        if message["type"] == "http.response.start":
            headers = [header for header in message["headers"] if header[0] != b"connection"]
            message = {**message, "headers": [*headers, (b"connection", b"close")]}
        await send(message)

    return last


class _Generation:
    """A server with one set of certificates. It shares its socket with the next generation."""

    def __init__(self, app: Application, listener: socket.socket, tls: TlsFiles | None, keep_alive: int) -> None:
        self.counter: Final = RequestCounter(app)
        self._server: Final = ListeningServer(self.counter, listener, tls, keep_alive)
        self.task: Final = asyncio.ensure_future(self._server.serve())
        self._stopped = False

    def retire(self, dead_socket: socket.socket) -> None:
        """Accept no new connections. Existing ones end with their next answer or after a long idle time."""
        self.counter.closing = True
        if not self._stopped:
            os.dup2(dead_socket.fileno(), self._server.descriptor)

    def stop(self) -> None:
        """Accept no new connections, end idle ones, and end each other one after its answer."""
        if not self._stopped:
            self._stopped = True
            self._server.stop()  # type: ignore[no-untyped-call] # the library does not annotate it


class ApiServer:
    """A server that serves an application on a socket until it is stopped.

    Args:
        app: the ASGI application.
        listener: the socket; the caller keeps it.
        tls: the TLS files, and the resources for reloading them; None for plain HTTP.
        keep_alive: minimum seconds to keep an idle connection.
    """

    def __init__(
        self, app: Application, listener: socket.socket, tls: tuple[TlsFiles, ReloadResources] | None, keep_alive: int
    ) -> None:
        self._app: Final = app
        self._listener: Final = listener
        self._tls: Final = tls
        self._keep_alive: Final = keep_alive
        self._generations: list[_Generation] = []
        self._renew_task: asyncio.Task[None] | None = None
        self._renew_requested = False

    async def start(self) -> None:
        """Begin to serve.

        Raises:
            NightsafeError: UNAVAILABLE, if the server does not start.
        """
        self._generations.append(self._start_generation(self._tls[0] if self._tls else None))
        await wait_until_ready(self._listener, self._generations[0].task)

    async def wait_until_ended(self) -> None:
        """Wait until the server ends by itself."""
        while True:
            current = self._generations[-1]
            await asyncio.wait({current.task})
            if current is self._generations[-1]:
                return

    def renew(self) -> None:
        """Reload the certificates soon. Existing connections keep the certificates that they began with."""
        if self._tls is None:
            return
        self._renew_requested = True
        if self._renew_task is None:
            self._renew_task = asyncio.ensure_future(self._renew())

    async def stop(self) -> None:
        """Tell every client to close its connection, answer the requests that have arrived, and end."""
        if self._renew_task is not None:
            self._renew_task.cancel()
        for generation in self._generations:
            generation.counter.closing = True
        await self._wait_until_quiet()
        self._listener.close()
        for generation in self._generations:
            generation.stop()
        await _wait_until_ended({generation.task for generation in self._generations})

    def _start_generation(self, tls: TlsFiles | None) -> _Generation:
        """Start a server beside the running ones."""
        return _Generation(self._app, self._listener, tls, self._keep_alive)

    async def _renew(self) -> None:
        """Reload the certificates, and once more if another reload was asked for meanwhile."""
        try:
            while self._renew_requested:
                self._renew_requested = False
                await self._renew_once()
        except NightsafeError as error:
            _log.error("tls.refused", reason=error.problems[0].detail)
        except Exception as error:  # noqa: BLE001 - after any error the server goes on unchanged
            _log.error("tls.refused", reason=type(error).__name__)
        finally:
            self._renew_task = None

    async def _renew_once(self) -> None:
        """Start a server with the current certificate files. Files that cannot be used change nothing."""
        assert self._tls is not None  # noqa: S101 - `renew` checks it
        paths, spare = self._tls
        try:
            tls = spare.copies.copy(check_tls_files(paths.certificate, paths.key, paths.client_ca) or paths)
            await try_tls_files(tls, spare.copies.descriptors, spare.port)
            generation = self._start_generation(tls)
            try:
                await wait_until_ready(self._listener, generation.task)
            except BaseException:
                generation.stop()
                raise
        finally:
            spare.copies.clear()
        before = self._generations[-1]
        self._generations.append(generation)
        before.retire(spare.dead_socket)
        asyncio.get_running_loop().call_later(self._keep_alive + 2 * HEADER_SECONDS, self._forget, before)
        if len(self._generations) > _MAX_RETIRED:
            self._forget(self._generations[0])
        _log.info("tls.renewed")

    def _forget(self, generation: _Generation) -> None:
        """End a retired server. By now its connections have ended after their idle time."""
        generation.stop()
        if generation in self._generations:
            self._generations.remove(generation)

    async def _wait_until_quiet(self) -> None:
        """Wait until no request has been under way for a moment, for at most `_DRAIN_SECONDS`."""
        end, quiet, last_count = time.monotonic() + _DRAIN_SECONDS, 0, -1
        while quiet < _QUIET_POLLS and time.monotonic() < end:
            await asyncio.sleep(_POLL_SECONDS)
            count = sum(generation.counter.request_count for generation in self._generations)
            quiet = quiet + 1 if count == last_count and not _active_requests() else 0
            last_count = count


async def _wait_until_ended(servers: set["asyncio.Task[None]"]) -> None:
    """Wait until servers have ended. A server that does not end although it is idle ends with the process."""
    end, idle_polls = time.monotonic() + _STOP_SECONDS, 0
    while servers and idle_polls < _IDLE_POLLS and time.monotonic() < end:
        _, servers = await asyncio.wait(servers, timeout=_POLL_SECONDS)
        idle_polls = 0 if _active_requests() else idle_polls + 1


def _active_requests() -> int:
    """Return how many requests are being answered. Each is a task of the server, so counting adds no cost to them."""
    names = (getattr(task.get_coro(), "__name__", "") for task in asyncio.all_tasks())
    return sum(name == "future_watcher" for name in names)
