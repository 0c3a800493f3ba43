"""Rate limits and the official client's own retries."""

from collections.abc import Iterator

import pytest
from cloudflare import Cloudflare, RateLimitError
from tests.server import Safe, Server


@pytest.fixture
def limited(safe: Safe) -> Iterator[Server]:
    """Yield a server that allows two requests per credential and second."""
    with Server(safe, "--rate-limit", "2", "--rate-window", "1") as running:
        yield running


def test_a_retry_passes_the_rate_limit(limited: Server) -> None:
    """The SDK repeats the refused third request after the time that the answer names, and it succeeds."""
    with Cloudflare(api_token=limited.safe.api_token, base_url=limited.base_url) as client:
        raw = client.workers.scripts.with_raw_response
        answers = [raw.list(account_id=limited.safe.account_id) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert [answer.retries_taken for answer in answers[:2]] == [0, 0]
    assert answers[2].retries_taken in {1, 2}
    assert answers[0].headers["ratelimit-policy"] == '"default";q=2;w=1'


def test_without_retries_the_rate_limit_raises(limited: Server) -> None:
    """Without retries the client raises RateLimitError with a code and a Retry-After."""
    with Cloudflare(api_token=limited.safe.api_token, base_url=limited.base_url, max_retries=0) as client:
        for _ in range(2):
            client.workers.scripts.list(account_id=limited.safe.account_id)
        with pytest.raises(RateLimitError) as raised:
            client.workers.scripts.list(account_id=limited.safe.account_id)

    assert [error.code for error in raised.value.errors] == [971]
    assert raised.value.response.headers["retry-after"] == "1"
