"""Quotas in fixed windows, failures by source, and what stands for a credential."""

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
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The seconds so far."""
        return self.now


def request_from(address: str | None) -> dict[str, object]:
    """A scope with a source."""
    return {"type": "http", "client": None if address is None else (address, 40_000)}


def test_a_window() -> None:
    """So many times are free; the next one blocks for as long as another window, then all is new."""
    clock = Clock()
    quota = Quota(3, 300, clock)

    free = [quota.take(b"a") for _ in range(3)]
    clock.now += 100
    over = quota.take(b"a")
    clock.now += 299
    still = quota.take(b"a")
    clock.now += 1
    again = quota.take(b"a")

    assert [(one.remaining, one.seconds, one.blocked) for one in free] == [
        (2, 300, False),
        (1, 300, False),
        (0, 300, False),
    ]
    assert (over.blocked, over.newly, over.seconds) == (True, True, 300)
    assert (still.blocked, still.newly, still.seconds) == (True, False, 1)
    assert (again.blocked, again.remaining) == (False, 2)


def test_who_keeps_to_it_is_never_blocked() -> None:
    """Exactly as many as are free, window after window."""
    clock = Clock()
    quota = Quota(3, 300, clock)

    for _ in range(5):
        assert [quota.take(b"a").remaining for _ in range(3)] == [2, 1, 0]
        clock.now += 300


def test_keys_are_apart() -> None:
    """One that is blocked is nothing to another."""
    quota = Quota(1, 300, Clock())
    quota.take(b"a")
    quota.take(b"a")

    assert (quota.take(b"a").blocked, quota.take(b"b").blocked) == (True, False)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 40)), max_size=300))
def test_memory_is_bounded(asked: list[tuple[int, int]]) -> None:
    """Whoever asks, whenever: no more keys are held than there is room for, and none beyond its limit passes."""
    clock = Clock()
    quota = Quota(2, 60, clock, capacity=4)
    passed: dict[int, list[float]] = {}

    for key, pause in asked:
        clock.now += pause
        if not quota.take(b"%d" % key).blocked:
            passed.setdefault(key, []).append(clock.now)
        assert len(quota._windows) <= 4
        assert len(quota.blocked) <= 4
        assert list(quota.blocked.values()) == sorted(quota.blocked.values())
    if len(passed) <= 4:
        for times in passed.values():
            assert all(later - first >= 60 or first == later for first, later in zip(times, times[4:], strict=False))


def test_a_block_that_is_over_is_forgotten() -> None:
    """Nothing is left of it, so that looking costs nothing again."""
    clock = Clock()
    quota = Quota(0, 60, clock)
    quota.take(b"a")
    clock.now += 60

    assert (quota.left(b"b"), quota.blocked) == (0, {})


def test_failures_of_an_address() -> None:
    """The one that reaches the limit blocks its source for a minute, and no other."""
    clock = Clock()
    failures = Failures(3, clock)
    here, there = request_from("192.0.2.1"), request_from("192.0.2.2")

    newly = [failures.count(here) for _ in range(3)]

    assert newly == [False, False, True]
    assert (failures.left(here), failures.left(there)) == (60, 0)
    clock.now += 60
    assert failures.left(here) == 0


def test_only_failed_credentials_count() -> None:
    """Not a request that sends none, a good one that may not, a failure of the safe; nothing where nobody watches."""
    failures = Failures(1, Clock())
    watched, unwatched = request_from("192.0.2.1"), request_from("192.0.2.1")
    failures.watch(watched)

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
    ("one", "other", "same"),
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
def test_sources(one: str, other: str, *, same: bool) -> None:
    """IPv4 addresses are each one source, the IPv6 addresses of a site are together."""
    assert (address_key(one) == address_key(other)) is same


def test_a_source_that_is_not_known() -> None:
    """It is one source of its own."""
    failures = Failures(1, Clock())
    failures.count(request_from(None))

    assert (failures.left(request_from(None)), failures.left(request_from("192.0.2.1"))) == (60, 0)


def test_credentials() -> None:
    """The one that the request acts by counts, whatever stands beside it and however its scheme is written."""
    token, key, service = (credential_key(headers) for headers in ([TOKEN], [EMAIL, KEY], [SERVICE]))

    assert len({token, key, service, None}) == 4
    assert credential_key([KEY, EMAIL, TOKEN, SERVICE]) == token
    assert credential_key([EMAIL, SERVICE, KEY]) == key
    assert credential_key([(b"authorization", b"BEARER  the-token-itself")]) == token
    assert credential_key([EMAIL]) is None
    assert b"the-token" not in (token or b"")


@given(st.sampled_from([b"x-auth-key", b"x-auth-email", b"x-other"]), st.binary(max_size=40))
def test_a_header_that_nobody_looks_at(name: bytes, value: bytes) -> None:
    """Makes no other key, and so no new window: half a pair beside a service key, anything beside a token."""
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
def test_the_key_is_of_what_is_looked_up(headers: list[tuple[bytes, bytes]]) -> None:
    """Whatever is sent together: the key is that of the credential that authentication takes, or there is none."""
    looked_up: list[bytes] = []

    class Noting:
        """An authenticator that knows nobody and keeps what it is asked for."""

        async def by_token(self, token: bytes) -> Principal:
            """A token."""
            looked_up.append(token)
            raise NightsafeError(Code.UNKNOWN_TOKEN)

        async def by_key(self, _: str, key: bytes) -> Principal:
            """A Global API key."""
            looked_up.append(key)
            raise NightsafeError(Code.UNKNOWN_KEY)

        by_service_key = by_token

    with suppress(NightsafeError):
        asyncio.run(authenticate(headers, "", cast("Authenticator", Noting())))

    expected = hashlib.sha256(looked_up[0]).digest() if looked_up else None
    assert credential_key(headers) == expected
    assert len(looked_up) <= 1


def test_a_key_of_nobody_leaves_no_window() -> None:
    """So credentials that are made up make no window of another go; a second count of the same key stays."""
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
def test_a_credential_longer_than_any(name: bytes) -> None:
    """Is refused before it is hashed or looked up."""
    value = b"x" * (LONGEST + 1)
    header = (name, b"Bearer " + value if name == b"authorization" else value)
    with pytest.raises(NightsafeError, match="longer than any"):
        credential_of([header])
    assert "xxx" not in repr(credential_of([(name, header[1][:-1])]))
