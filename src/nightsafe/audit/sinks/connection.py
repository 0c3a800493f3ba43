"""Connections to a sink's host."""

import errno
import ipaddress
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from nightsafe.audit.sinks.address import SinkAddress
from nightsafe.audit.sinks.sender import TIMEOUT_SECONDS


def connect(address: SinkAddress) -> int:
    """Connect to a sink's host, by each of its addresses in turn. Return the descriptor.

    Raises:
        OSError: if no address answers, or if an unencrypted connection would leave this machine.
    """
    error: OSError = OSError(errno.EADDRNOTAVAIL, "the host has no address")
    for family, kind, protocol, _, place in socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM):
        if not address.encrypted and not ipaddress.ip_address(str(place[0]).partition("%")[0]).is_loopback:
            continue
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(TIMEOUT_SECONDS)
            connection.connect(place)
            return connection.detach()
        except OSError as failure:
            error = failure
            connection.close()
    raise error


class Connector:
    """Opens connections to a sink's host, with TLS if the URL says so.

    Args:
        address: the sink.
        open_connection: connects to the host and returns the descriptor.
        trust: the trusted certificates; None without TLS.
    """

    def __init__(
        self, address: SinkAddress, open_connection: Callable[[], int], trust: ssl.SSLContext | None
    ) -> None:
        self.address: Final = address
        self._open: Final = open_connection
        self._trust: Final = trust

    def connect(self) -> socket.socket:
        """Return a new connection, on which each step may take `TIMEOUT_SECONDS`.

        Raises:
            OSError: if the host cannot be reached or its certificate is not valid.
        """
        connection = socket.socket(fileno=self._open())
        try:
            connection.settimeout(TIMEOUT_SECONDS)
            with suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._trust is None:
                return connection
            return self._trust.wrap_socket(connection, server_hostname=self.address.host)
        except BaseException:
            connection.close()
            raise
