"""Limits requests and failed authentications, in fixed windows counted in this process.

Source: developers.cloudflare.com, fundamentals/api/reference/limits: 1,200 requests per credential in five minutes;
after that, every call is refused for the next five minutes.
"""

import hashlib
import ipaddress
import math
import time
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

import structlog
from msgspec import Struct

from nightsafe.api.http.authentication import FAILED_CREDENTIALS, credential_of
from nightsafe.errors import Code, NightsafeError

_log = structlog.get_logger()
_MAX_KEYS = 10_000
_IPV6_SITE = 8
_FAILURE_SECONDS = 60.0
_SCOPE_KEY = "nightsafe.failures"
_WINDOW_KEY = "nightsafe.window"
_LONGEST_WAIT = 60  # clients of the Cloudflare v4 API ignore a longer one

Clock = Callable[[], float]


class QuotaState(Struct, frozen=True):
    """The state of a key: the requests that remain, and the seconds until its window or its block ends."""

    remaining: int
    seconds: float
    blocked: bool = False
    newly_blocked: bool = False


class Quota:
    """Limits the requests of each key in a window. A key beyond the limit is blocked for the length of one window.

    A window begins with the key's first request. The number of remembered keys is bounded: the key with the oldest
    window is forgotten.

    Args:
        limit: the most requests in a window.
        seconds: the length of a window, and of a block.
        clock: a monotonic clock, in seconds.
        capacity: the most remembered keys: this many that are blocked, and as many that are not.
    """

    def __init__(self, limit: int, seconds: float, clock: Clock = time.monotonic, capacity: int = _MAX_KEYS) -> None:
        self.limit = limit
        self.seconds = seconds
        self._clock = clock
        self._capacity = capacity
        self._windows: dict[bytes, tuple[int, float]] = {}  # the count, and the end of the window; oldest first
        self.blocked: dict[bytes, float] = {}  # the end of the block; oldest first

    def take(self, key: bytes) -> QuotaState:
        """Count one request."""
        left = self.left(key)
        if left:
            return QuotaState(0, left, blocked=True)
        now = self._clock()
        count, ends = self._windows.get(key, (0, now))
        if ends <= now:
            count, ends = 0, now + self.seconds
            self._windows.pop(key, None)
            _make_room(self._windows, self._capacity)
        if count >= self.limit:
            return self._block(key, now)
        self._windows[key] = count + 1, ends
        return QuotaState(self.limit - count - 1, ends - now)

    def left(self, key: bytes) -> float:
        """Return the seconds for which a key is still blocked; 0 when it is not."""
        now = self._clock()
        while self.blocked:
            first = next(iter(self.blocked))
            if self.blocked[first] > now:
                break
            del self.blocked[first]
        return max(0.0, self.blocked.get(key, now) - now)

    def take_for(self, scope: MutableMapping[str, Any], key: bytes) -> QuotaState:
        """Count a request. `note_failure` takes the count back when the credential turns out to be unknown."""
        scope[_WINDOW_KEY] = self, key
        return self.take(key)

    def forget(self, key: bytes) -> None:
        """Take back the first count of a key that turned out to be unknown, without forgetting another key's window.

        A later count stays, because the key may be valid and sent with a wrong e-mail.
        """
        if self._windows.get(key, (0, 0.0))[0] == 1:
            del self._windows[key]

    def _block(self, key: bytes, now: float) -> QuotaState:
        """Block a key from now on."""
        self._windows.pop(key, None)
        _make_room(self.blocked, self._capacity)
        self.blocked[key] = now + self.seconds
        return QuotaState(0, self.seconds, blocked=True, newly_blocked=True)


class Failures:
    """Counts failed authentications of each source address.

    After `limit` failures in a minute, a source no longer learns why a credential fails. The credential is looked up
    first, so a valid one passes even if others at the same address have failed.

    Args:
        limit: failures in a minute, at least 1.
        clock: a monotonic clock, in seconds.
        capacity: the most remembered addresses.
    """

    def __init__(self, limit: int, clock: Clock = time.monotonic, capacity: int = _MAX_KEYS) -> None:
        self._quota = Quota(limit - 1, _FAILURE_SECONDS, clock, capacity)  # the failure after these blocks the source

    def left(self, scope: MutableMapping[str, Any]) -> float:
        """Return the seconds for which the source of a request still gets no reasons; 0 when it gets them."""
        return self._quota.left(_source(scope)) if self._quota.blocked else 0.0

    def count(self, scope: MutableMapping[str, Any]) -> bool:
        """Count one failure. Return whether it is the one that blocks the source."""
        return self._quota.take(_source(scope)).newly_blocked

    def count_failures_of(self, scope: MutableMapping[str, Any]) -> None:
        """Let `note_failure` count the failures of this request."""
        scope[_SCOPE_KEY] = self


def note_failure(scope: MutableMapping[str, Any], error: NightsafeError) -> None:
    """Count a request with unknown credentials. A request without credentials does not count.

    Args:
        scope: the ASGI scope of the request.
        error: the error of the authentication, not of a missing permission of a known caller.

    Raises:
        NightsafeError: TOO_MANY_FAILURES, in place of `error`, when the source had already failed too often. This
            answer does not depend on the fault of the credential.
    """
    if error.code not in FAILED_CREDENTIALS:
        return
    if _WINDOW_KEY in scope:
        quota, key = scope[_WINDOW_KEY]
        quota.forget(key)
    failures: Failures | None = scope.get(_SCOPE_KEY)
    if failures is None:
        return
    if failures.left(scope):
        raise NightsafeError(Code.TOO_MANY_FAILURES)
    if failures.count(scope):
        _log.warning("throttled", reason=Code.TOO_MANY_FAILURES, address=(scope.get("client") or ("",))[0])


def try_again(scope: MutableMapping[str, Any]) -> tuple[bytes, bytes]:
    """Return the `Retry-After` header for the source of a blocked request."""
    failures: Failures = scope[_SCOPE_KEY]
    return retry_after(failures.left(scope))


def retry_after(seconds: float) -> tuple[bytes, bytes]:
    """Return the `Retry-After` header: at most the time that clients accept, even if the block is longer."""
    return b"retry-after", b"%d" % min(_LONGEST_WAIT, max(1, math.ceil(seconds)))


def credential_key(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """Return a key for the credential of a request that counts, or None without one. The key is a hash.

    Authentication uses the same credential, so other credentials in the request do not change the key.

    Args:
        headers: names in lower case, with values.
    """
    try:
        credential = credential_of(headers)
    except NightsafeError:
        return None  # authentication refuses it as malformed
    return None if credential is None else hashlib.sha256(credential.secret).digest()


def address_key(address: str) -> bytes:
    """Return a key for a source: an IPv4 address, or the /64 of an IPv6 address, because a site has a whole /64."""
    try:
        source = ipaddress.ip_address(address)
    except ValueError:
        return address.encode()
    mapped = source.ipv4_mapped if isinstance(source, ipaddress.IPv6Address) else None
    return mapped.packed if mapped else source.packed[:_IPV6_SITE]


def _source(scope: MutableMapping[str, Any]) -> bytes:
    """Return the key of a request's source."""
    client = scope.get("client")
    return address_key(str(client[0]) if client else "")


def _make_room(entries: dict[bytes, Any], capacity: int) -> None:
    """Forget the oldest keys when there are too many."""
    if len(entries) >= capacity:
        del entries[next(iter(entries))]
