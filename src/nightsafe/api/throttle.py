"""In front of the application, when limits of how often are set: counts, and refuses with 429.

Nothing of it is in the way when every such limit is off.
"""

import math
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import structlog

from nightsafe.api.limiter import Failures, Quota, Standing, credential_key, retry_after
from nightsafe.api.routing import refuse
from nightsafe.errors import Code, NightsafeError
from nightsafe.workers.limits import Limits

_log = structlog.get_logger()
_DELIVERY: Final = re.compile(
    rb"/client/v4/accounts/[^/]*/nightsafe/(?:changes|bundles|modules|checks|processes|resealing)(?:/|$)"
)
_DELIVERY_TIMES: Final = 100
"""How much more often the delivery side may ask: each change costs it some requests, whoever made the change."""

Scope = MutableMapping[str, Any]
Application = Callable[[Any, Any, Any], Awaitable[None]]


def throttled(app: Application, limits: Limits) -> Application:
    """The application behind what counts, or the application itself when nothing is to be counted."""
    if limits.rate_limit:
        app = RateLimited(app, limits)
    if limits.auth_failures:
        app = Guarded(app, Failures(limits.auth_failures))
    return app


class Guarded:
    """Has authentication count what fails. Who fails too often is told so there, once the credential was looked up.

    Args:
        app: who answers.
        failures: the count.
    """

    def __init__(self, app: Application, failures: Failures) -> None:
        self._app = app
        self._failures = failures

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        """Answer one ASGI request; no coroutine of its own, for every request comes through here."""
        self._failures.watch(scope)
        return self._app(scope, receive, send)


class RateLimited:
    """Refuses credentials that ask too often, and tells every one how it stands.

    Args:
        app: who answers all others.
        limits: how often, and in what time.
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
        standing = quota.take_for(scope, key)
        told = _headers(quota, standing)
        if standing.blocked:
            if standing.newly:
                _log.warning("throttled", reason=Code.TOO_MANY_REQUESTS, address=(scope.get("client") or ("",))[0])
            refusal = NightsafeError(Code.TOO_MANY_REQUESTS)
            return refuse(scope, receive, send, refusal, (retry_after(standing.seconds), *told))
        return self._app(scope, receive, _telling(send, told))


def _headers(quota: Quota, standing: Standing) -> tuple[tuple[bytes, bytes], ...]:
    """How a credential stands, in words of the wire."""
    told = b'"default";r=%d;t=%d' % (standing.remaining, math.ceil(standing.seconds))
    policy = b'"default";q=%d;w=%d' % (quota.limit, math.ceil(quota.seconds))
    return (b"ratelimit", told), (b"ratelimit-policy", policy)


def _telling(send: Any, told: tuple[tuple[bytes, bytes], ...]) -> Any:
    """What sends an answer with further headers."""

    async def tell(message: Scope) -> None:
        """Send one ASGI message."""
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *told]
        await send(message)

    return tell
