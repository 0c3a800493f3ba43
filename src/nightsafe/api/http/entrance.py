"""The first checks of each request: the Host header, the client behind a proxy, and the rate limits."""

import functools
import math
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog

from nightsafe.api.http.forwarded import Proxies
from nightsafe.api.http.rate_limits import Failures, Quota, QuotaState, credential_key, retry_after
from nightsafe.api.http.routing import Scope, address_of, refuse
from nightsafe.errors import Code, NightsafeError
from nightsafe.services.limits import Limits

_HOST: Final = re.compile(
    rb"(?:\[[0-9A-Fa-f:.]+\]|\[v[0-9A-Fa-f]+\.[A-Za-z0-9\-._~!$&'()*+,;=:]+\]"
    rb"|(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+)(?::[0-9]*)?"
)
"""RFC 3986, section 3.2.2 and 3.2.3; the host of an HTTP URL is never empty (RFC 9110, section 4.2.1)."""

_WITHOUT_HOST: Final[tuple[list[bytes], ...]] = ([], [b""])
"""A request without a Host header. The HTTP server turns a missing header into an empty one."""

_CLOSE: Final = ((b"connection", b"close"),)
_INVALID_HOST: Final = NightsafeError(
    Code.MALFORMED_HEADER, "send one Host header, with a host name or address and, if needed, a port"
)

Application = Callable[[Any, Any, Any], Awaitable[None]]


class Entrance:
    """Admits requests with a valid Host header, and replaces a trusted proxy's address with its client's.

    Args:
        app: answers the admitted requests.
        proxies: the trusted proxies, or None.
    """

    def __init__(self, app: Application, proxies: Proxies | None = None) -> None:
        self._app = app
        self._proxies = proxies

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        """Answer one ASGI request. This is not a coroutine itself, because every request pays for it."""
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if (len(hosts) != 1 or not _is_host(hosts[0])) and not (
            scope["http_version"] != "1.1" and hosts in _WITHOUT_HOST
        ):
            return refuse(scope, receive, send, _INVALID_HOST, _CLOSE)
        if self._proxies is not None:
            try:
                _set_client(scope, self._proxies)
            except NightsafeError as error:
                return refuse(scope, receive, send, error, _CLOSE)
        return self._app(scope, receive, send)


@functools.lru_cache(maxsize=256)
def _is_host(value: bytes) -> bool:
    """Tell whether a Host header names a host (RFC 9112, section 3.2)."""
    return _HOST.fullmatch(value) is not None


def _set_client(scope: Scope, proxies: Proxies) -> None:
    """Set the client as the source of the request; raise NightsafeError MALFORMED_HEADER."""
    peer = address_of(scope)
    client = proxies.client(peer, scope["headers"])
    if client != peer:
        scope["client"] = (client, 0)


_log = structlog.get_logger()
_DELIVERY: Final = re.compile(
    rb"/client/v4/accounts/[^/]*/nightsafe/(?:changes|bundles|modules|checks|processes|resealing)(?:/|$)"
)
_DELIVERY_TIMES: Final = 100
"""The factor by which delivery processes may send more requests: each change costs them some."""


def with_rate_limits(app: Application, limits: Limits) -> Application:
    """Return the application behind the rate limits, or the application itself when there are no limits."""
    if limits.rate_limit:
        app = RateLimited(app, limits)
    if limits.auth_failures:
        app = FailureLimited(app, Failures(limits.auth_failures))
    return app


class FailureLimited:
    """Counts failed authentications, and refuses a source with too many.

    The refusal comes after the lookup of the credential, so a valid credential passes.

    Args:
        app: answers the requests.
        failures: counts the failures.
    """

    def __init__(self, app: Application, failures: Failures) -> None:
        self._app = app
        self._failures = failures

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        """Answer one ASGI request. This is not a coroutine itself, because every request pays for it."""
        self._failures.count_failures_of(scope)
        return self._app(scope, receive, send)


class RateLimited:
    """Refuses credentials with too many requests, and adds the remaining quota to every answer.

    Args:
        app: answers all other requests.
        limits: the number of requests, and the seconds of the window.
    """

    def __init__(self, app: Application, limits: Limits) -> None:
        self._app = app
        self._ordinary = Quota(limits.rate_limit, limits.rate_seconds)
        self._delivery = Quota(limits.rate_limit * _DELIVERY_TIMES, limits.rate_seconds)

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        """Answer one ASGI request."""
        key = credential_key(scope["headers"]) if scope["type"] == "http" else None
        if key is None:
            return self._app(scope, receive, send)
        quota = self._delivery if _DELIVERY.match(scope["raw_path"]) else self._ordinary
        quota_state = quota.take_for(scope, key)
        quota_headers = _headers(quota, quota_state)
        if quota_state.blocked:
            if quota_state.newly_blocked:
                _log.warning("throttled", reason=Code.TOO_MANY_REQUESTS, address=(scope.get("client") or ("",))[0])
            refusal = NightsafeError(Code.TOO_MANY_REQUESTS)
            return refuse(scope, receive, send, refusal, (retry_after(quota_state.seconds), *quota_headers))
        return self._app(scope, receive, _with_headers(send, quota_headers))


def _headers(quota: Quota, quota_state: QuotaState) -> tuple[tuple[bytes, bytes], ...]:
    """Return the headers with a credential's remaining quota."""
    quota_headers = b'"default";r=%d;t=%d' % (quota_state.remaining, math.ceil(quota_state.seconds))
    policy = b'"default";q=%d;w=%d' % (quota.limit, math.ceil(quota.seconds))
    return (b"ratelimit", quota_headers), (b"ratelimit-policy", policy)


def _with_headers(send: Any, quota_headers: tuple[tuple[bytes, bytes], ...]) -> Any:
    """Return a `send` that adds headers to an answer."""

    async def send_with_headers(message: Scope) -> None:
        """Send one ASGI message."""
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *quota_headers]
        await send(message)

    return send_with_headers
