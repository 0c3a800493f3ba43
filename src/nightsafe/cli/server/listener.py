"""The listening socket, and the server on it.

The server's own way of listening shares a port by SO_REUSEPORT with whoever asks: two safes on one port would each
get some of the requests. So the socket is made here, for this process alone, and handed over.
"""

import asyncio
import ipaddress
import os
import socket
from typing import Any

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings
from granian.server.embed import Server

from nightsafe.cli.process.open_files import connections
from nightsafe.cli.tls.files import Tls
from nightsafe.errors import Code, NightsafeError

_BACKLOG = 1024
HEADER_SECONDS = 30
"""How long a request's headers may take that begin to arrive while the connection is kept."""

KEEP_ALIVE = 120
"""Seconds for which an idle connection is kept at least: longer than clients keep one, so that they end it first."""

_HEADER_BYTES = 128 * 1024
_START_SECONDS = 10.0


def refuse_plain(host: str) -> None:
    """Refuse an address that other machines reach: credentials and secrets would cross the network in the clear.

    Raises:
        NightsafeError: INVALID, with both ways out.
    """
    if not is_loopback(host):
        raise NightsafeError(
            Code.INVALID,
            f"{host} can be reached from other machines, and without TLS every secret can be read on the way; "
            "give --tls-cert and --tls-key, or --plain-http if something in front does TLS",
        )


def refuse_plain_workers(host: str, port: int) -> None:
    """Refuse an address of scripts that other machines reach: they speak plain HTTP.

    Raises:
        NightsafeError: INVALID, with both ways out.
    """
    if not is_loopback(host or "127.0.0.1"):
        shown = f"[{host}]" if ":" in host else host
        raise NightsafeError(
            Code.INVALID,
            f"--listen {shown}:{port} can be reached from other machines, and scripts speak plain HTTP, which can be "
            "read on the way; give --trusted-proxy with the address of what does TLS in front, or --plain-http",
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int, named_by: str = "--host or --port") -> socket.socket:
    """A socket that listens.

    Args:
        host: an address or a name of this machine.
        port: or 0 for a free one.
        named_by: the flags that name another, for the refusal.

    Raises:
        NightsafeError: INVALID, when the name does not resolve, or the address is taken or not of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or "127.0.0.1", port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise _cannot(host, port, error, named_by) from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise _cannot(host, port, error, named_by) from None
    return listener


def authority(listener: socket.socket) -> str:
    """Address and port as a URL has them."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def reachable(listener: socket.socket) -> str:
    """The same for who is on this machine, where an address that stands for all of them leads nowhere."""
    return authority(listener).replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:")


class ListeningServer(Server):
    """The embedded server on a socket that is there already.

    Args:
        app: the ASGI application.
        listener: the socket; it stays the caller's.
        tls: what to show who it is with; None speaks plain HTTP.
        keep_alive: seconds for which an idle connection is kept at least. The library knows one time for being idle
            and for the headers of the next request together, so what begins to arrive in time has some more.
    """

    def __init__(
        self, app: Any, listener: socket.socket, tls: Tls | None = None, keep_alive: int = KEEP_ALIVE
    ) -> None:
        self.descriptor = -1
        """What it accepts connections from, once it has started."""
        super().__init__(
            app,
            interface=Interfaces.ASGINL,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(
                header_read_timeout=(keep_alive + HEADER_SECONDS) * 1000, max_buffer_size=_HEADER_BYTES
            ),
            websockets=False,
            backlog=_BACKLOG,
            backpressure=connections(),
            log_enabled=False,
        )
        self._listener = listener
        if tls is not None:
            self.ssl_ctx = _files_of(tls)

    def _init_shared_socket(self) -> None:
        """Take the socket that is there. A socket's own `dup` would have it block, for whoever else uses it, too."""
        # The library's stubs leave the holder's arguments out; the version is pinned by the lock.
        # It closes what it is given.
        self.descriptor = os.dup(self._listener.fileno())
        self._shd = SocketHolder(self.descriptor, False, _BACKLOG)  # type: ignore[assignment, call-arg]


def _files_of(tls: Tls) -> tuple[Any, ...]:
    """What the library makes of the files of TLS, but for its look at where their paths lead: copies have no path."""
    authority = str(tls.client_ca) if tls.client_ca else None
    return (
        *(True, str(tls.certificate), str(tls.key), None),
        *(str(SSLProtocols.tls13), authority, [], authority is not None),
    )


async def until_ready(listener: socket.socket, serving: "asyncio.Future[None]") -> None:
    """Wait until the server answers.

    Raises:
        NightsafeError: UNAVAILABLE, when it does not start.
    """
    answering = asyncio.ensure_future(_answer(listener))
    done, _ = await asyncio.wait({answering, serving}, timeout=_START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    answering.cancel()
    if answering not in done or answering.exception() is not None:
        if serving.done():
            serving.exception()
        raise NightsafeError(Code.UNAVAILABLE, f"the server did not start on {authority(listener)}")


async def _answer(listener: socket.socket) -> None:
    """One request, until anything comes back: an answer, or where TLS is spoken a refusal of plain text."""
    host, port = listener.getsockname()[:2]
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - asked for by --host
    reader, writer = await asyncio.open_connection(reachable, port)
    try:
        writer.write(b"GET /livez HTTP/1.1\r\nHost: nightsafe\r\nConnection: close\r\n\r\n")
        await reader.read(1)
    finally:
        writer.close()


def _cannot(host: str, port: int, error: OSError | UnicodeError, named_by: str) -> NightsafeError:
    """The refusal of an address."""
    reason = getattr(error, "strerror", None) or "no such name"
    return NightsafeError(Code.INVALID, f"cannot listen on {host}:{port}: {reason}; name another {named_by}")
