"""Rate limits: quotas in fixed windows, failures by address, and the keys of credentials."""

import asyncio
import hashlib
from contextlib import suppress
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightsafe.api.http.authentication import LONGEST, authenticate, credential_of
from nightsafe.api.http.rate_limits import Failures, Quota, address_key, credential_key, note_failure
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.service import Authenticator, Principal

TOKEN = (b"authorization", b"Bearer the-token-itself")
KEY = (b"x-auth-key", b"the-key-itself-in-full")
EMAIL = (b"x-auth-email", b"a@example.com")
SERVICE = (b"x-auth-user-service-key", b"v1.0-the-service-key")


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the seconds so far."""
        return self.now


def request_from(address: str | None) -> dict[str, object]:
    """Return an ASGI scope of a request from this address."""
    return {"type": "http", "client": None if address is None else (address, 40_000)}


def test_a_key_over_its_quota_is_blocked_for_a_window() -> None:
    """Requests are free up to the quota; the next one blocks the key for a whole window, then the count restarts."""
    clock = Clock()
    quota = Quota(3, 300, clock)

    free = [quota.take(b"a") for _ in range(3)]
    clock.now += 100
    over = quota.take(b"a")
    clock.now += 299
    still = quota.take(b"a")
    clock.now += 1
    again = quota.take(b"a")

    assert [(taken.remaining, taken.seconds, taken.blocked) for taken in free] == [
        (2, 300, False),
        (1, 300, False),
        (0, 300, False),
    ]
    assert (over.blocked, over.newly_blocked, over.seconds) == (True, True, 300)
    assert (still.blocked, still.newly_blocked, still.seconds) == (True, False, 1)
    assert (again.blocked, again.remaining) == (False, 2)


def test_a_key_within_its_quota_is_never_blocked() -> None:
    """A key that uses exactly its quota in each window is never blocked."""
    clock = Clock()
    quota = Quota(3, 300, clock)

    for _ in range(5):
        assert [quota.take(b"a").remaining for _ in range(3)] == [2, 1, 0]
        clock.now += 300


def test_keys_are_counted_separately() -> None:
    """A blocked key does not affect another key."""
    quota = Quota(1, 300, Clock())
    quota.take(b"a")
    quota.take(b"a")

    assert (quota.take(b"a").blocked, quota.take(b"b").blocked) == (True, False)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 40)), max_size=300))
def test_a_quota_holds_a_limited_number_of_keys(requests: list[tuple[int, int]]) -> None:
    """A quota holds no more keys than its capacity, and no key passes more often than its limit."""
    clock = Clock()
    quota = Quota(2, 60, clock, capacity=4)
    passed: dict[int, list[float]] = {}

    for key, pause in requests:
        clock.now += pause
        if not quota.take(b"%d" % key).blocked:
            passed.setdefault(key, []).append(clock.now)
        assert len(quota._windows) <= 4
        assert len(quota.blocked) <= 4
        assert list(quota.blocked.values()) == sorted(quota.blocked.values())
    if len(passed) <= 4:
        for times in passed.values():
            assert all(later - first >= 60 or first == later for first, later in zip(times, times[4:], strict=False))


def test_an_expired_block_is_deleted() -> None:
    """A block that is over is deleted."""
    clock = Clock()
    quota = Quota(0, 60, clock)
    quota.take(b"a")
    clock.now += 60

    assert (quota.left(b"b"), quota.blocked) == (0, {})


def test_an_address_is_blocked_at_its_failure_limit() -> None:
    """An address is blocked for a minute at its last allowed failure; other addresses are not."""
    clock = Clock()
    failures = Failures(3, clock)
    here, there = request_from("192.0.2.1"), request_from("192.0.2.2")

    newly_blocked = [failures.count(here) for _ in range(3)]

    assert newly_blocked == [False, False, True]
    assert (failures.left(here), failures.left(there)) == (60, 0)
    clock.now += 60
    assert failures.left(here) == 0


def test_only_failed_credentials_count() -> None:
    """Missing credentials, missing permissions and store errors do not count, nor do unwatched requests."""
    failures = Failures(1, Clock())
    watched, unwatched = request_from("192.0.2.1"), request_from("192.0.2.1")
    failures.count_failures_of(watched)

    note_failure(unwatched, NightsafeError(Code.UNKNOWN_KEY))
    for code in (Code.NO_CREDENTIALS, Code.ADDRESS_REFUSED, Code.NOT_PERMITTED, Code.STORE):
        note_failure(watched, NightsafeError(code))
    assert failures.left(watched) == 0
    note_failure(watched, NightsafeError(Code.UNKNOWN_KEY))
    assert failures.left(watched) == 60
    with pytest.raises(NightsafeError) as refused:
        note_failure(watched, NightsafeError(Code.MALFORMED_KEY))
    assert refused.value.code is Code.TOO_MANY_FAILURES


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::1", "127.0.0.1", False),
        ("", "127.0.0.1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
    ],
)
def test_addresses_are_grouped_into_sources(first: str, second: str, *, same: bool) -> None:
    """Each IPv4 address is its own source, and all IPv6 addresses of one /64 are one source."""
    assert (address_key(first) == address_key(second)) is same


def test_unknown_addresses_are_one_source() -> None:
    """Requests without a client address count as one source."""
    failures = Failures(1, Clock())
    failures.count(request_from(None))

    assert (failures.left(request_from(None)), failures.left(request_from("192.0.2.1"))) == (60, 0)


def test_the_key_is_that_of_the_acting_credential() -> None:
    """The key is that of the credential which authenticates the request, however its scheme is spelt."""
    token, key, service = (credential_key(headers) for headers in ([TOKEN], [EMAIL, KEY], [SERVICE]))

    assert len({token, key, service, None}) == 4
    assert credential_key([KEY, EMAIL, TOKEN, SERVICE]) == token
    assert credential_key([EMAIL, SERVICE, KEY]) == key
    assert credential_key([(b"authorization", b"BEARER  the-token-itself")]) == token
    assert credential_key([EMAIL]) is None
    assert b"the-token" not in (token or b"")


@given(st.sampled_from([b"x-auth-key", b"x-auth-email", b"x-other"]), st.binary(max_size=40))
def test_an_ignored_header_does_not_change_the_key(name: bytes, value: bytes) -> None:
    """A header that authentication ignores does not change the key, so it makes no new window."""
    beside = (name, value)

    assert credential_key([SERVICE]) == credential_key([beside, SERVICE]) == credential_key([SERVICE, beside])
    assert credential_key([TOKEN]) == credential_key([beside, TOKEN, KEY, EMAIL, SERVICE])


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"authorization", b"x-auth-key", b"x-auth-email", b"x-auth-user-service-key"]),
            st.sampled_from([b"Bearer one", b"bearer  one", b"Bearer two", b"a@example.com", b"k" * 40, b"x"]),
        ),
        max_size=6,
    )
)
def test_the_key_is_that_of_the_credential_looked_up(headers: list[tuple[bytes, bytes]]) -> None:
    """The key belongs to the credential that authentication looks up, or is None."""
    looked_up: list[bytes] = []

    class RecordingAuthenticator:
        """An authenticator that refuses every credential and records it."""

        async def by_token(self, token: bytes) -> Principal:
            """Record a token."""
            looked_up.append(token)
            raise NightsafeError(Code.UNKNOWN_TOKEN)

        async def by_key(self, _: str, key: bytes) -> Principal:
            """Record a Global API key."""
            looked_up.append(key)
            raise NightsafeError(Code.UNKNOWN_KEY)

        by_service_key = by_token

    with suppress(NightsafeError):
        asyncio.run(authenticate(headers, "", cast("Authenticator", RecordingAuthenticator())))

    expected = hashlib.sha256(looked_up[0]).digest() if looked_up else None
    assert credential_key(headers) == expected
    assert len(looked_up) <= 1


def test_an_unknown_credential_leaves_no_window() -> None:
    """Windows of unknown credentials are deleted, so they cannot push out another credential's window."""
    quota = Quota(2, 60, Clock(), capacity=2)
    quota.take(b"somebody")
    for number in range(5):
        scope = request_from("192.0.2.1")
        quota.take_for(scope, b"nobody %d" % number)
        note_failure(scope, NightsafeError(Code.UNKNOWN_TOKEN))
    scope = request_from("192.0.2.1")
    quota.take_for(scope, b"somebody")
    note_failure(scope, NightsafeError(Code.UNKNOWN_KEY))

    assert quota.take(b"somebody").blocked


@pytest.mark.parametrize("name", [b"authorization", b"x-auth-user-service-key"])
def test_an_overlong_credential_is_refused(name: bytes) -> None:
    """A credential longer than the limit is refused before it is hashed or looked up."""
    value = b"x" * (LONGEST + 1)
    header = (name, b"Bearer " + value if name == b"authorization" else value)
    with pytest.raises(NightsafeError, match="longer than any"):
        credential_of([header])
    assert "xxx" not in repr(credential_of([(name, header[1][:-1])]))
