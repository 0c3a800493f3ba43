"""In front of the application, when limits of how often are set: counts, and refuses with 429.

Nothing of it is in the way when every such limit is off.
"""

import math
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import structlog

from nightsafe.api.envelope import Reply, failure
from nightsafe.api.health import PATHS
from nightsafe.api.limiter import Failures, Quota, Standing, credential_key
from nightsafe.api.routing import answer
from nightsafe.errors import Code, NightsafeError
from nightsafe.workers.limits import Limits

_log = structlog.get_logger()
_ACCOUNTS = b"/client/v4/accounts/"
_DELIVERY = slice(len(_ACCOUNTS) + 32, len(_ACCOUNTS) + 32 + len(b"/nightsafe/"))
_LONGEST_WAIT = 60  # clients of the Cloudflare v4 API heed no longer one

Scope = MutableMapping[str, Any]
Application = Callable[[Any, Any, Any], Awaitable[None]]


def throttled(app: Application, limits: Limits) -> Application:
    """The application behind what counts, or the application itself when nothing is to be counted."""
    if limits.rate_limit:
        app = RateLimited(app, Quota(limits.rate_limit, limits.rate_seconds))
    if limits.auth_failures:
        app = Guarded(app, Failures(limits.auth_failures))
    return app


class Guarded:
    """Refuses sources that failed to authenticate too often, whatever they send.

    Args:
        app: who answers all others.
        failures: the count.
    """

    def __init__(self, app: Application, failures: Failures) -> None:
        self._app = app
        self._failures = failures

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        """Answer one ASGI request; no coroutine of its own, for every request comes through here."""
        left = self._failures.left(scope)
        if left and scope["type"] == "http" and scope["raw_path"] not in PATHS:
            return _refuse(scope, receive, send, Code.TOO_MANY_FAILURES, (_retry_after(left),))
        self._failures.watch(scope)
        return self._app(scope, receive, send)


class RateLimited:
    """Refuses credentials that ask too often, and tells every one how it stands.

    Args:
        app: who answers all others.
        quota: the count.
    """

    def __init__(self, app: Application, quota: Quota) -> None:
        self._app = app
        self._quota = quota
        self._policy = (b"ratelimit-policy", b'"default";q=%d;w=%d' % (quota.limit, math.ceil(quota.seconds)))

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        """Answer one ASGI request."""
        key = credential_key(scope["headers"]) if scope["type"] == "http" else None
        if key is None or _is_of_delivery(scope["raw_path"]):
            return self._app(scope, receive, send)
        standing = self._quota.take(key)
        if standing.blocked:
            if standing.newly:
                _log.warning("throttled", reason=Code.TOO_MANY_REQUESTS, address=(scope.get("client") or ("",))[0])
            headers = (_retry_after(standing.seconds), *self._headers(standing))
            return _refuse(scope, receive, send, Code.TOO_MANY_REQUESTS, headers)
        return self._app(scope, receive, self._telling(send, standing))

    def _headers(self, standing: Standing) -> tuple[tuple[bytes, bytes], ...]:
        """How a credential stands, in words of the wire."""
        told = b'"default";r=%d;t=%d' % (standing.remaining, math.ceil(standing.seconds))
        return (b"ratelimit", told), self._policy

    def _telling(self, send: Any, standing: Standing) -> Any:
        """What sends an answer with the standing in its headers."""

        async def tell(message: Scope) -> None:
            """Send one ASGI message."""
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._headers(standing)]
            await send(message)

        return tell


def _is_of_delivery(raw_path: bytes) -> bool:
    """Whether the delivery side asks, which no number of requests may keep from what has changed."""
    return raw_path.startswith(_ACCOUNTS) and raw_path[_DELIVERY] == b"/nightsafe/"


def _retry_after(seconds: float) -> tuple[bytes, bytes]:
    """When to come again: within what clients heed, even where the block is longer."""
    return b"retry-after", b"%d" % min(_LONGEST_WAIT, math.ceil(seconds))


def _refuse(
    scope: Scope, receive: Any, send: Any, code: Code, headers: tuple[tuple[bytes, bytes], ...]
) -> Awaitable[None]:
    """429, and what was still being sent is let go of."""

    async def reply(_: Scope, __: Any) -> Reply:
        """The refusal."""
        return failure(NightsafeError(code), headers)

    return answer(scope, receive, send, reply)
