"""Decides what to send and when to retry, without any input or output.

The rules are the same as in the official SDK: up to `max_retries` further tries after 408, 409, 429, 500 and above,
timeouts and broken connections. The header `x-should-retry` overrides this. `retry-after-ms` and `Retry-After` are
followed up to a minute. Otherwise the delay is half a second, doubled each time up to eight seconds, and reduced by
up to a quarter at random.
"""

import logging
import random
import time
from collections.abc import Mapping
from typing import Final, Generic, TypeVar

from nightsafe.client.call import Call, encode_query
from nightsafe.client.envelope import error_for, read_result
from nightsafe.client.errors import APIConnectionError, APITimeoutError
from nightsafe.client.messages import Request, Response
from nightsafe.client.not_given import Omit
from nightsafe.client.settings import ClientSettings, encode_headers, is_authenticating, merge_headers
from nightsafe.client.timeouts import Timeout, timeout_of

T = TypeVar("T")

INITIAL_RETRY_DELAY: Final = 0.5
MAX_RETRY_DELAY: Final = 8.0
LONGEST_RETRY_AFTER: Final = 60.0
_JITTER: Final = 0.25
_RETRIED: Final = frozenset({408, 409, 429})
_FIRST_SERVER_ERROR: Final = 500
_FIRST_REFUSAL: Final = 400
_NO_CREDENTIALS: Final = (
    "Could not resolve authentication method: set one of api_token, api_key with api_email, or user_service_key, or "
    "the variable CLOUDFLARE_API_TOKEN; or remove one of their headers with `omit`"
)

_log = logging.getLogger("nightsafe.client")


class Exchange(Generic[T]):
    """One call with its retries: counts the tries, and decides the next step.

    Args:
        settings: the client's settings.
        call: the call.

    Raises:
        TypeError: when there are no credentials.
        ValueError: when a header or the query cannot be sent.
    """

    __slots__ = ("_call", "_first", "_settings", "request", "retries_taken", "timeout")

    def __init__(self, settings: ClientSettings, call: Call[T]) -> None:
        self._settings: Final = settings
        self._call: Final = call
        self._first: Final = _first_request(settings, call)
        self.request = self._first
        self.retries_taken = 0
        self.timeout: Timeout = settings.timeout if isinstance(call.timeout, Omit) else timeout_of(call.timeout)

    def delay_after_answer(self, response: Response) -> float | None:
        """Return the seconds to wait before the next try; None when the answer is final."""
        status = response.status_code
        _log.debug("%s %s: %d", self.request.method, self.request.url, status)
        if status < _FIRST_REFUSAL or self.retries_taken >= self._settings.max_retries:
            return None
        return self._prepare_retry(response.headers) if should_retry(status, response.headers) else None

    def delay_after_error(self, error: OSError) -> float:
        """Return the seconds to wait before the next try.

        Raises:
            APITimeoutError: when the last try took too long.
            APIConnectionError: when the connection of the last try broke, or could not be made.
        """
        _log.debug("%s %s: %s", self.request.method, self.request.url, type(error).__name__)
        if self.retries_taken < self._settings.max_retries:
            return self._prepare_retry({})
        if isinstance(error, TimeoutError):
            raise APITimeoutError(self.request) from error
        raise APIConnectionError(request=self.request) from error

    def result(self, response: Response) -> T:
        """Return the result of the call.

        Raises:
            APIStatusError: when the answer is a refusal.
            APIResponseValidationError: when the answer is not what the API promises.
        """
        return read_result(self._call.read, self.request, response)

    def refuse(self, response: Response) -> None:
        """Raise the error for an answer with the status of a refusal.

        Raises:
            APIStatusError: for a status of 400 or above.
        """
        if response.status_code >= _FIRST_REFUSAL:
            raise error_for(self.request, response)

    def _prepare_retry(self, headers: Mapping[str, str]) -> float:
        """Prepare the next try, and return the seconds to wait before it."""
        delay = delay_before(self.retries_taken, headers)
        self.retries_taken += 1
        _log.info("%s %s: retry in %.3f seconds", self.request.method, self.request.url, delay)
        count = (b"x-stainless-retry-count", b"%d" % self.retries_taken)
        first = self._first
        self.request = Request(first.method, first.origin, first.target, (*first.raw_headers, count), first.content)
        return delay


def should_retry(status: int, headers: Mapping[str, str]) -> bool:
    """Tell whether to retry after a refusal. The header `x-should-retry` decides first."""
    header = headers.get("x-should-retry")
    if header in {"true", "false"}:
        return header == "true"
    return status in _RETRIED or status >= _FIRST_SERVER_ERROR


def delay_before(retries_taken: int, headers: Mapping[str, str]) -> float:
    """Return the seconds to wait before the next try.

    Args:
        retries_taken: the number of retries so far.
        headers: the headers of the last answer.
    """
    requested = _asked_delay(headers)
    if requested is not None and 0 < requested <= LONGEST_RETRY_AFTER:
        return requested
    doubled = min(INITIAL_RETRY_DELAY * 2.0 ** min(retries_taken, 1000), MAX_RETRY_DELAY)
    return doubled * (1 - _JITTER * random.random())  # noqa: S311 - spreads clients out, protects nothing


def _asked_delay(headers: Mapping[str, str]) -> float | None:
    """Return the delay that the server asks for, in seconds: it may send milliseconds, seconds or a date."""
    for name, divisor in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            return float(headers[name]) / divisor
        except (KeyError, ValueError):
            continue
    date = headers.get("retry-after")
    return None if date is None else _seconds_until(date)


def _seconds_until(date: str) -> float | None:
    """Return the seconds until a date in an HTTP header."""
    from email.utils import mktime_tz, parsedate_tz  # noqa: PLC0415 - seldom needed, and slow to load

    parsed = parsedate_tz(date)
    try:
        return None if parsed is None else mktime_tz(parsed) - time.time()
    except (ValueError, OverflowError):  # an impossible year or month
        return None


def _first_request(settings: ClientSettings, call: Call[T]) -> Request:
    """Return the request of the first try."""
    headers = settings.headers
    if call.headers is not None:
        headers = _with_own_headers(settings, call.headers)
    elif not settings.authenticates:
        raise TypeError(_NO_CREDENTIALS)
    content = call.content
    if content is not None:
        headers = (*headers, (b"content-type", call.content_type), (b"content-length", b"%d" % len(content)))
    elif call.method != "GET":
        headers = (*headers, (b"content-length", b"0"))
    target = settings.prefix + call.path
    if call.query or settings.custom_query:
        query = encode_query(settings.custom_query, call.query)
        target = f"{target}?{query}" if query else target
    return Request(call.method, settings.origin, target.encode("ascii"), headers, content or b"")


def _with_own_headers(settings: ClientSettings, own: Mapping[str, str | Omit]) -> tuple[tuple[bytes, bytes], ...]:
    """Return the client's headers; those of the call take precedence."""
    own_headers = merge_headers(own)
    if not settings.authenticates and not is_authenticating(own_headers):
        raise TypeError(_NO_CREDENTIALS)
    kept = [(name, value) for name, value in settings.headers if name.decode("ascii") not in own_headers]
    return (*kept, *encode_headers(own_headers))
