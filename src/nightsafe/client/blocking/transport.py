# Made from aio/transport.py by tools/generate_client.py: edit that one.
"""Sends requests over a pool of connections. Any object with the same two methods can replace it."""

import ssl
from typing import Protocol

import httpcore

from nightsafe.client.blocking.waiting import close_when_forgotten
from nightsafe.client.messages import Origin, Request, Response
from nightsafe.client.network import (
    BROKEN,
    IDLE_SECONDS,
    MAX_CONNECTIONS,
    MAX_IDLE,
    decompressed,
    httpcore_timeouts,
    proxy_for,
    trusted_certificates,
)
from nightsafe.client.timeouts import Timeout


class Transport(Protocol):
    """Sends the requests of a client."""

    def send(self, request: Request, timeout: Timeout) -> Response:
        """Send one request and read the whole answer, without following redirects and without retries.

        Raises:
            TimeoutError: when a part of the request took too long.
            OSError: when there is no answer for another reason, such as ConnectionError.
        """
        ...  # pragma: no cover

    def close(self) -> None:
        """Close every connection."""
        ...  # pragma: no cover


class HttpTransport:
    """Sends requests with HTTP/1.1 over connections that are kept and reused.

    Args:
        ssl_context: the trusted certificates, and the client's own certificate if any; by default it trusts
            `SSL_CERT_FILE`, `SSL_CERT_DIR` or Mozilla's list.
        proxy: a proxy; by default the proxy that the environment names, if any.
        max_connections: the most connections at the same time.
        uds: the path of a Unix socket to connect to, in place of the host in the URL.
    """

    def __init__(
        self,
        *,
        ssl_context: ssl.SSLContext | None = None,
        proxy: httpcore.Proxy | None = None,
        max_connections: int = MAX_CONNECTIONS,
        uds: str | None = None,
    ) -> None:
        self._ssl_context = ssl_context
        self._proxy = proxy
        self._max_connections = max_connections
        self._uds = uds
        self._pools: dict[tuple[str, str, int | None], httpcore.ConnectionPool] = {}

    def send(self, request: Request, timeout: Timeout) -> Response:
        """Send one request and read the whole answer.

        Raises:
            TimeoutError: when a part of the request took too long.
            ConnectionError: when there is no answer for another reason.
        """
        try:
            return self._send(request, timeout)
        except httpcore.TimeoutException as error:
            raise TimeoutError(type(error).__name__) from error
        except BROKEN as error:
            raise ConnectionError(f"{type(error).__name__}: {error}") from error

    def close(self) -> None:
        """Close every connection. The next request opens new ones."""
        for pool in self._pools.values():
            pool.close()

    def _send(self, request: Request, timeout: Timeout) -> Response:
        """Send one request; raise the HTTP library's own errors."""
        origin = request.origin
        url = httpcore.URL(
            scheme=origin.scheme.encode(), host=origin.host.encode(), port=origin.port, target=request.target
        )
        sent = httpcore.Request(
            request.method,
            url,
            headers=request.raw_headers,
            content=request.content,
            extensions={"timeout": httpcore_timeouts(timeout)},
        )
        answer = self._pool(origin).handle_request(sent)
        try:
            content = answer.read()
        finally:
            answer.close()
        return Response(answer.status, answer.headers, decompressed(content, answer.headers))

    def _pool(self, origin: Origin) -> httpcore.ConnectionPool:
        """Return the pool of connections to a server."""
        pool = self._pools.get(origin)
        if pool is None:
            new = self._new_pool(origin)
            pool = self._pools.setdefault(origin, new)  # another thread may have been faster
            if pool is new:
                close_when_forgotten(self, pool)
        return pool

    def _new_pool(self, origin: Origin) -> httpcore.ConnectionPool:
        """Return a new pool without connections."""
        if self._ssl_context is None and origin.scheme == "https":
            self._ssl_context = trusted_certificates()
        return httpcore.ConnectionPool(
            ssl_context=self._ssl_context,
            proxy=self._proxy or proxy_for(origin),
            max_connections=self._max_connections,
            max_keepalive_connections=MAX_IDLE,
            keepalive_expiry=IDLE_SECONDS,
            uds=self._uds,
        )
