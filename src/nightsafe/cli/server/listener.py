"""The listening socket, and the server on it.

The server library would open its socket with SO_REUSEPORT, so two safes on one port would each get some of the
requests. This module therefore opens the socket for this process alone and passes it to the library.
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

from nightsafe.cli.process.open_files import max_connections
from nightsafe.cli.tls.files import TlsFiles
from nightsafe.errors import Code, NightsafeError

_BACKLOG = 1024
HEADER_SECONDS = 30
"""Seconds that a request's headers may take after their first byte has arrived on a kept connection."""

KEEP_ALIVE = 120
"""Minimum seconds to keep an idle connection: longer than clients keep one, so that the client closes it first."""

_HEADER_BYTES = 128 * 1024
_START_SECONDS = 10.0


def refuse_plain(host: str) -> None:
    """Refuse an address that other machines reach: credentials and secrets would cross the network unencrypted.

    Raises:
        NightsafeError: INVALID, with both solutions.
    """
    if not is_loopback(host):
        raise NightsafeError(
            Code.INVALID,
            f"{host} can be reached from other machines, and without TLS every secret can be read on the way; "
            "give --tls-cert and --tls-key, or --plain-http if a proxy in front does TLS",
        )


def refuse_plain_workers(host: str, port: int) -> None:
    """Refuse an address of scripts that other machines reach, because scripts speak plain HTTP.

    Raises:
        NightsafeError: INVALID, with both solutions.
    """
    if not is_loopback(host or "127.0.0.1"):
        url_host = f"[{host}]" if ":" in host else host
        raise NightsafeError(
            Code.INVALID,
            f"--listen {url_host}:{port} can be reached from other machines, and scripts speak plain HTTP, which can "
            "be read on the way; give --trusted-proxy with the address of a proxy that does TLS, or --plain-http",
        )


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int, option_names: str = "--host or --port") -> socket.socket:
    """Open a listening socket.

    Args:
        host: an address or a name of this machine.
        port: the port, or 0 for a free one.
        option_names: the flags that set host and port, for the refusal.

    Raises:
        NightsafeError: INVALID, if the name does not resolve, or the address is taken or not on this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or "127.0.0.1", port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise _listen_error(host, port, error, option_names) from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise _listen_error(host, port, error, option_names) from None
    return listener


def authority(listener: socket.socket) -> str:
    """Return the address and port in URL form."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def local_authority(listener: socket.socket) -> str:
    """Return the address and port for clients on this machine, with loopback in place of a wildcard address."""
    return authority(listener).replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:")


class ListeningServer(Server):
    """The embedded server on an existing socket.

    Args:
        app: the ASGI application.
        listener: the socket; the caller keeps it.
        tls: the certificate and key; None for plain HTTP.
        keep_alive: minimum seconds to keep an idle connection. The library has one timeout for the idle time and the
            headers of the next request together, so the timeout is longer by `HEADER_SECONDS`.
    """

    def __init__(
        self, app: Any, listener: socket.socket, tls: TlsFiles | None = None, keep_alive: int = KEEP_ALIVE
    ) -> None:
        self.descriptor = -1
        """The descriptor that the started server accepts connections from."""
        super().__init__(
            app,
            interface=Interfaces.ASGINL,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(
                header_read_timeout=(keep_alive + HEADER_SECONDS) * 1000, max_buffer_size=_HEADER_BYTES
            ),
            websockets=False,
            backlog=_BACKLOG,
            backpressure=max_connections(),
            log_enabled=False,
        )
        self._listener = listener
        if tls is not None:
            self.ssl_ctx = _tls_tuple(tls)

    def _init_shared_socket(self) -> None:
        """Use the existing socket. `socket.dup` would make the socket blocking, also for its other users."""
        # The library's stubs omit the holder's arguments; the lock file pins the version.
        # The holder closes the descriptor that it gets.
        self.descriptor = os.dup(self._listener.fileno())
        self._shd = SocketHolder(self.descriptor, False, _BACKLOG)  # type: ignore[assignment, call-arg]


def _tls_tuple(tls: TlsFiles) -> tuple[Any, ...]:
    """Return the TLS tuple that the library would build. Its check of the paths is left out: copies have no path."""
    authority = str(tls.client_ca) if tls.client_ca else None
    return (
        *(True, str(tls.certificate), str(tls.key), None),
        *(str(SSLProtocols.tls13), authority, [], authority is not None),
    )


async def wait_until_ready(listener: socket.socket, serving: "asyncio.Future[None]") -> None:
    """Wait until the server answers.

    Raises:
        NightsafeError: UNAVAILABLE, if it does not start.
    """
    answering = asyncio.ensure_future(_wait_for_answer(listener))
    done, _ = await asyncio.wait({answering, serving}, timeout=_START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    answering.cancel()
    if answering not in done or answering.exception() is not None:
        if serving.done():
            serving.exception()
        raise NightsafeError(Code.UNAVAILABLE, f"the server did not start on {authority(listener)}")


async def _wait_for_answer(listener: socket.socket) -> None:
    """Send one request and wait for the first byte: of the answer, or of a TLS server's refusal of plain text."""
    host, port = listener.getsockname()[:2]
    local_host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - set by --host
    reader, writer = await asyncio.open_connection(local_host, port)
    try:
        writer.write(b"GET /livez HTTP/1.1\r\nHost: nightsafe\r\nConnection: close\r\n\r\n")
        await reader.read(1)
    finally:
        writer.close()


def _listen_error(host: str, port: int, error: OSError | UnicodeError, option_names: str) -> NightsafeError:
    """Return the refusal of an address."""
    reason = getattr(error, "strerror", None) or "no such name"
    return NightsafeError(Code.INVALID, f"cannot listen on {host}:{port}: {reason}; give another {option_names}")
