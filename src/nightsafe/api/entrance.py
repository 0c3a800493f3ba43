"""In front of everything else: a request must say which host it is for, and whose it is when it comes by a proxy."""

import functools
import re
from collections.abc import Awaitable
from typing import Any, Final

from nightsafe.api.forwarded import Proxies
from nightsafe.api.routing import Scope, address_of, refuse
from nightsafe.api.throttle import Application
from nightsafe.errors import Code, NightsafeError

_HOST: Final = re.compile(
    rb"(?:\[[0-9A-Fa-f:.]+\]|\[v[0-9A-Fa-f]+\.[A-Za-z0-9\-._~!$&'()*+,;=:]+\]"
    rb"|(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+)(?::[0-9]*)?"
)
"""RFC 3986, section 3.2.2 and 3.2.3; the host of an HTTP URL is never empty (RFC 9110, section 4.2.1)."""

_NONE: Final[tuple[list[bytes], ...]] = ([], [b""])
"""No Host at all: the server makes an empty one of that."""

_LAST: Final = ((b"connection", b"close"),)
_ONE_HOST: Final = NightsafeError(
    Code.MALFORMED_HEADER, "send one Host header, with a host name or address and, if need be, a port"
)


class Entrance:
    """Lets requests in that are what HTTP says, and has the rest see the client and not the proxy.

    Args:
        app: who answers them.
        proxies: who is believed about a client's address; None for nobody.
    """

    def __init__(self, app: Application, proxies: Proxies | None = None) -> None:
        self._app = app
        self._proxies = proxies

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        """Answer one ASGI request; no coroutine of its own, for every request comes through here."""
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if (len(hosts) != 1 or not _is_host(hosts[0])) and not (scope["http_version"] != "1.1" and hosts in _NONE):
            return refuse(scope, receive, send, _ONE_HOST, _LAST)
        if self._proxies is not None:
            try:
                _set_client(scope, self._proxies)
            except NightsafeError as error:
                return refuse(scope, receive, send, error, _LAST)
        return self._app(scope, receive, send)


@functools.lru_cache(maxsize=256)
def _is_host(value: bytes) -> bool:
    """Whether a Host header names a host (RFC 9112, section 3.2)."""
    return _HOST.fullmatch(value) is not None


def _set_client(scope: Scope, proxies: Proxies) -> None:
    """Have everything that asks where a request came from see the client; NightsafeError MALFORMED_HEADER."""
    peer = address_of(scope)
    client = proxies.client(peer, scope["headers"])
    if client != peer:
        scope["client"] = (client, 0)
