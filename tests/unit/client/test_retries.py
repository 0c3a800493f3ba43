"""Retries: when the client tries again and how long it waits, as the official SDK does."""

import time
from collections.abc import Callable
from contextlib import suppress
from email.utils import formatdate
from typing import Any

import cloudflare
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.client.recorder import ACCOUNT, Either, answer, refusal, settled

from nightsafe.client import APIConnectionError, APIStatusError, APITimeoutError, InternalServerError
from nightsafe.client.exchange import delay_before, should_retry

SECRET = {"name": "S", "type": "secret_text"}


def get(client: Any) -> Any:
    """Make the call that most tests make."""
    return client.workers.scripts.secrets.get("S", account_id=ACCOUNT, script_name="script")


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 599])
async def test_temporary_refusals_are_retried(either: Either, waits: list[float], status: int) -> None:
    """The client tries twice more, after up to 0.5 and 1 second, and sends the retry's number."""
    client = either.over(refusal(status, 1000), refusal(status, 1000), answer(SECRET))

    secret = await settled(get(client))

    assert secret.name == "S"
    assert [None, "1", "2"] == [
        request.headers.get("x-stainless-retry-count") for request in either.recorder.requests
    ]
    assert 2 == len(waits)
    assert 0.375 <= waits[0] <= 0.5
    assert 0.75 <= waits[1] <= 1.0


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 422, 425, 451])
async def test_other_refusals_are_not_retried(either: Either, waits: list[float], status: int) -> None:
    """Other refusals are raised after one request, without waiting."""
    client = either.over(refusal(status, 1000))

    with pytest.raises(APIStatusError) as raised:
        await settled(get(client))

    assert (status, 1, []) == (raised.value.status_code, len(either.recorder.requests), waits)


@pytest.mark.parametrize("tries", [0, 1, 5])
async def test_the_last_refusal_is_raised(either: Either, waits: list[float], tries: int) -> None:
    """After `max_retries` further tries the last refusal is raised."""
    client = either.over(*[refusal(503, 10002)] * (tries + 1), max_retries=tries)

    with pytest.raises(InternalServerError):
        await settled(get(client))

    assert tries == len(waits)


async def test_a_retried_write_sends_the_same_body(either: Either) -> None:
    """A retried write sends the same body."""
    client = either.over(ConnectionResetError(), answer(SECRET))

    await settled(
        client.workers.scripts.secrets.update("s", account_id=ACCOUNT, name="S", text="x", type="secret_text")
    )

    first, second = either.recorder.requests
    assert first.content == second.content
    assert b'"x"' in first.content


@pytest.mark.parametrize(
    ("headers", "status", "tries"),
    [
        ({"x-should-retry": "true"}, 404, 2),
        ({"x-should-retry": "false"}, 503, 1),
        ({"X-Should-Retry": "false"}, 429, 1),
        ({"x-should-retry": "perhaps"}, 404, 1),
    ],
)
async def test_x_should_retry_overrides_the_status(
    either: Either, headers: dict[str, str], status: int, tries: int
) -> None:
    """`x-should-retry` overrides the status."""
    client = either.over(refusal(status, 1000, headers=headers.items()), answer(SECRET))

    with suppress(APIStatusError):
        await settled(get(client))

    assert tries == len(either.recorder.requests)


@pytest.mark.parametrize(
    ("headers", "waited"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"Retry-After": "0.25"}, 0.25),
        ({"retry-after": "60"}, 60.0),
        ({"retry-after-ms": "125"}, 0.125),
        ({"retry-after-ms": "125", "retry-after": "7"}, 0.125),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
    ],
)
async def test_retry_after_is_obeyed(
    either: Either, waits: list[float], headers: dict[str, str], waited: float
) -> None:
    """`retry-after` is obeyed up to a minute, and `retry-after-ms` to the millisecond."""
    client = either.over(refusal(429, 971, headers=headers.items()), answer(SECRET))

    await settled(get(client))

    assert [waited] == waits


@pytest.mark.parametrize(
    "header",
    ["61", "0", "-1", "soon", "", "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 99999 23:59:59 GMT", "nan"],
)
async def test_an_invalid_retry_after_is_ignored(either: Either, waits: list[float], header: str) -> None:
    """An invalid `retry-after` is ignored, and the usual time is waited."""
    client = either.over(refusal(503, 10002, headers=[("retry-after", header)]), answer(SECRET))

    await settled(get(client))

    assert 0.375 <= waits[0] <= 0.5


def test_retry_after_may_be_a_date() -> None:
    """A `retry-after` may be a date, and the time until then is waited."""
    assert 20 < delay_before(0, {"retry-after": formatdate(time.time() + 30, usegmt=True)}) <= 31


async def test_timeouts_are_retried_with_their_own_error(either: Either, waits: list[float]) -> None:
    """Timeouts are retried and then raise APITimeoutError, with the cause and without body and credentials."""
    client = either.over(*[TimeoutError("ReadTimeout")] * 3)

    with pytest.raises(APITimeoutError, match="Request timed out") as raised:
        await settled(get(client))

    assert 2 == len(waits)
    assert isinstance(raised.value, APIConnectionError)
    assert isinstance(raised.value.__cause__, TimeoutError)
    assert "authorization" not in raised.value.request.headers


async def test_broken_connections_are_retried(either: Either, waits: list[float]) -> None:
    """Broken connections are retried and then raise APIConnectionError, with the cause."""
    client = either.over(*[ConnectionRefusedError("refused")] * 3)

    with pytest.raises(APIConnectionError, match="Connection error") as raised:
        await settled(get(client))

    assert 2 == len(waits)
    assert not isinstance(raised.value, APITimeoutError)
    assert isinstance(raised.value.__cause__, ConnectionRefusedError)


async def test_other_errors_of_a_transport_are_not_retried(either: Either) -> None:
    """An error of a transport that is not an OSError is not retried."""

    def broken(_: object) -> Any:
        """Raise an error that no network raises."""
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await settled(get(either.over(broken)))


@pytest.fixture(scope="module")
def official() -> Any:
    """Return the official SDK, to compare with."""
    return cloudflare.Cloudflare(api_token="x", base_url="http://127.0.0.1:1")


@given(
    status=st.integers(400, 599),
    said=st.none() | st.sampled_from(["true", "false", "TRUE", "", "1"]),
)
def test_the_client_retries_what_the_sdk_retries(official: Any, status: int, said: str | None) -> None:
    """The client retries exactly what the SDK retries, for every status and `x-should-retry`."""
    headers = {} if said is None else {"x-should-retry": said}

    assert official._should_retry(httpx.Response(status, headers=headers)) == should_retry(status, headers)


_DELAYS: dict[str, Callable[[], st.SearchStrategy[str]]] = {
    "retry-after-ms": lambda: st.sampled_from(["1", "250.5", "60000", "60001", "-3", "x", ""]),
    "retry-after": lambda: st.sampled_from(["1", "0.5", "60", "60.1", "0", "-2", "x", "", "inf"]),
}


@given(
    taken=st.integers(0, 6),
    headers=st.fixed_dictionaries({}, optional={name: make() for name, make in _DELAYS.items()}),
    random=st.floats(0, 1, exclude_max=True),
)
def test_delays_equal_the_sdks(official: Any, taken: int, headers: dict[str, str], random: float) -> None:
    """The delays equal the SDK's exactly, when both get the same random number."""
    most = 10
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cloudflare._base_client.random", lambda: random)
        patch.setattr("random.random", lambda: random)
        options = cloudflare._models.FinalRequestOptions.construct(method="get", url="/", max_retries=most)
        expected = official._calculate_retry_timeout(most - taken, options, httpx.Headers(headers))

        assert expected == delay_before(taken, headers)
