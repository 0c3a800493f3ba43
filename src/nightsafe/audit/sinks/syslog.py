"""The audit sink at a syslog server: RFC 5424 messages, framed by RFC 5425 (octet counting), over TLS.

The protocol has no answer by which a server accepts a message. So each batch has its own connection. The sender ends
the connection, and waits until the server has ended it too (RFC 5425, section 4.4). The batch is accepted if by then
the server's system has acknowledged every byte, and has not reset the connection: it resets a connection that a
server closes before it has read everything.
"""

import fcntl
import os
import re
import socket
import ssl
import struct
import termios
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

from nightsafe.audit.sinks.connection import Connector
from nightsafe.audit.sinks.sender import NotAcceptedError
from nightsafe.audit.sinks.shipment import Shipped

_PRIORITY: Final = 13 * 8 + 6
"""Facility 13, the log audit, and severity 6, informational (RFC 5424, section 6.2.1)."""
_NOT_PRINTABLE: Final = re.compile(r"[^\x21-\x7e]")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HOST_LENGTH: Final = 255
_READ_BYTES: Final = 4096
_MAX_READS: Final = 16
_INT: Final = struct.Struct("=i")


class SyslogSender:
    """Sends batches to a syslog server.

    Args:
        connector: opens connections.
        host: the name of this machine in the messages.
    """

    def __init__(self, connector: Connector, host: str) -> None:
        self._connector: Final = connector
        self._host: Final = _NOT_PRINTABLE.sub("", host)[:_HOST_LENGTH] or "-"

    def reopen(self) -> None:
        """See `Sender.reopen`. Each batch has a new connection anyway."""

    def send(self, entries: Sequence[Shipped]) -> None:
        """See `Sender.send`. The sink has accepted the batch when the server has read it and ends the connection."""
        frames = b"".join(frame(message(entry, self._host)) for entry in entries)
        with self._connector.connect() as connection:
            connection.sendall(frames)
            _wait_until_read(connection)


def message(entry: Shipped, host: str) -> bytes:
    """Return the RFC 5424 message of an entry. It has no structured data; the JSON object is the text."""
    time = (_EPOCH + timedelta(microseconds=entry.at)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return f"<{_PRIORITY}>1 {time} {host} nightsafe {os.getpid()} audit - ".encode() + entry.line


def frame(content: bytes) -> bytes:
    """Return a message with its length in front (RFC 5425, section 4.3)."""
    return b"%d %s" % (len(content), content)


def _wait_until_read(connection: socket.socket) -> None:
    """End our side of a connection, and wait until the server has read everything and ends its side.

    Raises:
        OSError: if the server may not have read everything, or does not end the connection in time.
    """
    if isinstance(connection, ssl.SSLSocket):
        with suppress(ssl.SSLEOFError):  # the server closed the connection without close_notify
            connection = connection.unwrap()  # sends close_notify and waits for the server's
    else:
        connection.shutdown(socket.SHUT_WR)
        _read_to_end(connection)
    if _unacknowledged_bytes(connection) or connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise NotAcceptedError("the server ended the connection before it had read everything")


def _read_to_end(connection: socket.socket) -> None:
    """Read until the server ends its side.

    Raises:
        OSError: if the server sends much data, or does not end its side in time.
    """
    for _ in range(_MAX_READS):
        if not connection.recv(_READ_BYTES):
            return
    raise NotAcceptedError("the server sends data instead of ending the connection")


def _unacknowledged_bytes(connection: socket.socket) -> int:
    """Return how many sent bytes the other system has not acknowledged (SIOCOUTQ, tcp(7))."""
    number: int = _INT.unpack(fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(_INT.size)))[0]
    return number
