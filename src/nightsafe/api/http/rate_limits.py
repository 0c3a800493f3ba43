"""Who asks too often, and who fails too often to say who they are: fixed windows, counted in this process.

Source: developers.cloudflare.com, fundamentals/api/reference/limits: 1,200 requests in five minutes for a credential,
then every call is refused for the next five.
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
_LONGEST_WAIT = 60  # clients of the Cloudflare v4 API heed no longer one

Clock = Callable[[], float]


class QuotaState(Struct, frozen=True):
    """Where a key stands: how often it may still ask, and for how many seconds that or its block holds."""

    remaining: int
    seconds: float
    blocked: bool = False
    newly: bool = False


class Quota:
    """How often each key may do something in a window; one that goes beyond is blocked for another as long.

    A window begins with a key's first time. Only so many keys are remembered: the one whose window is oldest goes.

    Args:
        limit: times in a window.
        seconds: how long a window is, and a block.
        clock: seconds that only grow.
        capacity: keys that are remembered, blocked and not blocked each.
    """

    def __init__(self, limit: int, seconds: float, clock: Clock = time.monotonic, capacity: int = _MAX_KEYS) -> None:
        self.limit = limit
        self.seconds = seconds
        self._clock = clock
        self._capacity = capacity
        self._windows: dict[bytes, tuple[int, float]] = {}  # how often, and when it ends; oldest first
        self.blocked: dict[bytes, float] = {}  # until when; oldest first

    def take(self, key: bytes) -> QuotaState:
        """Count one time."""
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
        """For how many seconds a key is still blocked; 0 when it is not."""
        now = self._clock()
        while self.blocked:
            first = next(iter(self.blocked))
            if self.blocked[first] > now:
                break
            del self.blocked[first]
        return max(0.0, self.blocked.get(key, now) - now)

    def take_for(self, scope: MutableMapping[str, Any], key: bytes) -> QuotaState:
        """Count a request, until `note_failure` learns that its credential is nobody's."""
        scope[_WINDOW_KEY] = self, key
        return self.take(key)

    def forget(self, key: bytes) -> None:
        """Take back the first count of a key that turned out to be nobody's: it makes no other key's window go.

        A later one stays, for a key that is somebody's can be sent with an e-mail that is not.
        """
        if self._windows.get(key, (0, 0.0))[0] == 1:
            del self._windows[key]

    def _block(self, key: bytes, now: float) -> QuotaState:
        """Refuse a key from now on."""
        self._windows.pop(key, None)
        _make_room(self.blocked, self._capacity)
        self.blocked[key] = now + self.seconds
        return QuotaState(0, self.seconds, blocked=True, newly=True)


class Failures:
    """Failed authentications of each source address: who has had `limit` in a minute fails for one without a reason.

    A credential is looked up first, so one that is good passes, whoever else has failed at the same address.

    Args:
        limit: failures in a minute, at least 1.
        clock: seconds that only grow.
        capacity: addresses that are remembered.
    """

    def __init__(self, limit: int, clock: Clock = time.monotonic, capacity: int = _MAX_KEYS) -> None:
        self._quota = Quota(limit - 1, _FAILURE_SECONDS, clock, capacity)  # the last one blocks

    def left(self, scope: MutableMapping[str, Any]) -> float:
        """For how many seconds the source of a request is still told no more than that; 0 when it is not."""
        return self._quota.left(_source(scope)) if self._quota.blocked else 0.0

    def count(self, scope: MutableMapping[str, Any]) -> bool:
        """Count one failure; tells whether the source is blocked from now on."""
        return self._quota.take(_source(scope)).newly

    def watch(self, scope: MutableMapping[str, Any]) -> None:
        """Have `note_failure` count what goes wrong with this request."""
        scope[_SCOPE_KEY] = self


def note_failure(scope: MutableMapping[str, Any], error: NightsafeError) -> None:
    """Count that a request's credentials are nobody's. One that sends none tries none.

    Args:
        scope: of the request.
        error: what authentication raised; a permission that a known caller lacks does not belong here.

    Raises:
        NightsafeError: TOO_MANY_FAILURES, in place of `error`, when the source had failed too often before. Whatever
            is wrong with a credential, it is told the same.
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
    """When the source of a request that failed once too often may come again."""
    failures: Failures = scope[_SCOPE_KEY]
    return retry_after(failures.left(scope))


def retry_after(seconds: float) -> tuple[bytes, bytes]:
    """When to come again: within what clients heed, even where the block is longer."""
    return b"retry-after", b"%d" % min(_LONGEST_WAIT, max(1, math.ceil(seconds)))


def credential_key(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """What stands for the credential that a request acts by, or None when it has none; no credential is kept.

    It is the one that authentication looks up: what stands beside it makes no other key.

    Args:
        headers: names in lower case, with values.
    """
    try:
        credential = credential_of(headers)
    except NightsafeError:
        return None  # it is refused as malformed
    return None if credential is None else hashlib.sha256(credential.secret).digest()


def address_key(address: str) -> bytes:
    """What stands for a source: an IPv4 address, or the /64 that an IPv6 address is in, for a site has all of it."""
    try:
        source = ipaddress.ip_address(address)
    except ValueError:
        return address.encode()
    mapped = source.ipv4_mapped if isinstance(source, ipaddress.IPv6Address) else None
    return mapped.packed if mapped else source.packed[:_IPV6_SITE]


def _source(scope: MutableMapping[str, Any]) -> bytes:
    """The key of a request's source."""
    client = scope.get("client")
    return address_key(str(client[0]) if client else "")


def _make_room(entries: dict[bytes, Any], capacity: int) -> None:
    """Let go of the oldest when there are too many."""
    if len(entries) >= capacity:
        del entries[next(iter(entries))]
