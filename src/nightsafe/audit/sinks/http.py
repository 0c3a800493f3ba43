"""The audit sink at an HTTPS endpoint: each batch is a POST of JSON lines."""

import select
import socket
import ssl
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

import httpcore

from nightsafe.audit.sinks.connection import Connector
from nightsafe.audit.sinks.sender import TIMEOUT_SECONDS, NotAcceptedError
from nightsafe.audit.sinks.shipment import Shipped, json_lines

_EXCHANGE_SECONDS: Final = 30.0
_IDLE_SECONDS: Final = 5.0
_MAX_ANSWER_BYTES: Final = 64 << 10
_LEAST_SECONDS: Final = 0.001
_TIMEOUTS: Final = dict.fromkeys(("connect", "read", "write", "pool"), TIMEOUT_SECONDS)
_SUCCESS: Final = range(200, 300)


class HttpSender:
    """Sends batches to an endpoint. It follows no redirect and uses no proxy.

    Args:
        connector: opens connections.
        token: a bearer token; None to send no credential.
    """

    def __init__(self, connector: Connector, token: str | None) -> None:
        self._url: Final = _url_of(connector)
        self._headers: Final = [
            ("host", connector.address.authority),
            ("content-type", "application/x-ndjson"),
            ("user-agent", "nightsafe"),
            *([("authorization", f"Bearer {token}")] if token else []),
        ]
        self._backend: Final = _Backend(connector)
        self._pool = self._new_pool()

    def reopen(self) -> None:
        """See `Sender.reopen`. The pool replaces lost connections by itself."""

    def send(self, entries: Sequence[Shipped]) -> None:
        """See `Sender.send`. The sink has accepted the batch when the endpoint has answered with a 2xx status."""
        self._backend.deadline = time.monotonic() + _EXCHANGE_SECONDS
        extensions = {"timeout": dict(_TIMEOUTS)}
        content = json_lines(entries)
        try:
            with self._pool.stream(
                "POST", self._url, headers=self._headers, content=content, extensions=extensions
            ) as answer:
                _read_rest(answer.iter_stream())
                status = answer.status
        except httpcore.TimeoutException as error:
            raise TimeoutError(type(error).__name__) from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise NotAcceptedError(f"the connection failed ({type(error).__name__})") from error
        if status not in _SUCCESS:
            raise NotAcceptedError(f"the endpoint answered with status {status}")

    def close(self) -> None:
        """Close the connection."""
        self._pool.close()

    def _new_pool(self) -> httpcore.ConnectionPool:
        """Return a pool of one connection."""
        return httpcore.ConnectionPool(
            max_connections=1, keepalive_expiry=_IDLE_SECONDS, network_backend=self._backend
        )


def _url_of(connector: Connector) -> httpcore.URL:
    """Return the URL of a request. The connector does TLS, so the library must not."""
    address = connector.address
    return httpcore.URL(scheme=b"http", host=address.host, port=address.port, target=address.target)


def _read_rest(parts: Iterable[bytes]) -> None:
    """Read an answer's body and discard it.

    Raises:
        NotAcceptedError: if it is too long.
    """
    size = 0
    for part in parts:
        size += len(part)
        if size > _MAX_ANSWER_BYTES:
            raise NotAcceptedError("the endpoint's answer is too long")


class _Backend(httpcore.NetworkBackend):
    """Gives the HTTP library its connections.

    Args:
        connector: opens connections.

    Attributes:
        deadline: the monotonic time at which the current exchange must end.
    """

    def __init__(self, connector: Connector) -> None:
        self._connector: Final = connector
        self.deadline = 0.0

    def connect_tcp(
        self,
        host: str,  # noqa: ARG002 - the connector knows them
        port: int,  # noqa: ARG002
        timeout: float | None = None,  # noqa: ARG002
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        """Return a new connection to the sink, regardless of the arguments."""
        return _Stream(self._connector.connect(), self)


class _Stream(httpcore.NetworkStream):
    """A connection of the HTTP library."""

    def __init__(self, connection: socket.socket, backend: _Backend) -> None:
        self._connection: Final = connection
        self._backend: Final = backend

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read some bytes; b"" at the end."""
        self._limit(timeout)
        try:
            return self._connection.recv(max_bytes)
        except TimeoutError as error:
            raise httpcore.ReadTimeout from error
        except OSError as error:
            raise httpcore.ReadError from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all bytes."""
        self._limit(timeout)
        try:
            self._connection.sendall(buffer)
        except TimeoutError as error:
            raise httpcore.WriteTimeout from error
        except OSError as error:
            raise httpcore.WriteError from error

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        """Refuse: the connector does TLS."""
        raise NotImplementedError

    def get_extra_info(self, info: str) -> Any:
        """Return whether an idle connection was closed by the endpoint; None for all else."""
        return _has_input(self._connection) if info == "is_readable" else None

    def _limit(self, timeout: float | None) -> None:
        """Limit the next step by its timeout and by the deadline of the exchange."""
        left = self._backend.deadline - time.monotonic()
        self._connection.settimeout(max(_LEAST_SECONDS, min(timeout or left, left)))


def _has_input(connection: socket.socket) -> bool:
    """Return whether a connection can be read without waiting, for example because it was closed."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))
