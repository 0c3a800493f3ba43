"""What makes a token or a key hard to guess, to steal and to misuse."""

import hmac
import math
from collections.abc import Callable

import pytest
from tests.unit.api.driver import ACCOUNT, Api, secrets_of
from tests.unit.api.tokens import READ, keep, row

from nightsafe.identity import credentials
from nightsafe.identity.credentials import has_valid_checksum, new_key, new_token
from nightsafe.identity.permissions import ALL_ACCESS
from nightsafe.identity.policy import policies_for


@pytest.mark.parametrize(("make", "prefix"), [(new_token, "nst_"), (new_key, "nsk_")])
def test_they_are_random_and_can_be_found(make: Callable[[], str], prefix: str) -> None:
    """Tokens and Global API keys are 190 random bits with a prefix and a checksum, so that scanners find leaked
    ones.
    """
    made = make()

    assert 190 == int(credentials._RANDOM_LENGTH * math.log2(len(set(credentials._ALPHABET))))
    assert made.startswith(prefix)
    assert has_valid_checksum(made)
    assert not any(has_valid_checksum(made[:at] + "-" + made[at + 1 :]) for at in range(len(made)))


def test_a_guess_is_compared_in_constant_time(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens and Global API keys are compared by hash, in constant time.

    Each that is looked up goes through `hmac.compare_digest`, as 32 bytes of SHA-256.
    """
    compared: list[tuple[bytes, bytes]] = []

    def compare(known: bytes, given: bytes) -> bool:
        """Note what is compared."""
        compared.append((known, given))
        return real(known, given)

    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", compare)
    made = new_token()
    keep(api, row(made, policies_for(ACCOUNT, READ)))
    owner = api.credentials
    for headers in (
        [(b"authorization", b"Bearer " + made.encode())],
        [(b"x-auth-email", owner.email.encode()), (b"x-auth-key", owner.api_key.encode())],
        [(b"x-auth-email", owner.email.encode()), (b"x-auth-key", new_key().encode())],
        [(b"x-auth-email", b"nobody@example.com"), (b"x-auth-key", new_key().encode())],
    ):
        before = len(compared)
        api.send("GET", secrets_of("worker"), headers=headers, anonymous=True)
        assert before + 1 == len(compared)

    assert {32} == {len(side) for pair in compared for side in pair}


def test_denying_wins(api: Api) -> None:
    """A policy that denies wins over those that allow."""
    everything, reading = policies_for(ACCOUNT, ALL_ACCESS), policies_for(ACCOUNT, READ)
    denied = reading.replace(b'"allow"', b'"deny"')
    for policies, status in (
        (everything, 200),
        (everything[:-1] + b"," + denied[1:], 403),
        (denied[:-1] + b"," + everything[1:], 403),
    ):
        made = new_token()
        keep(api, row(made, policies))
        headers = [(b"authorization", b"Bearer " + made.encode())]
        assert status == api.send("GET", secrets_of("worker"), headers=headers, anonymous=True).status
