"""Attacks on credentials: guessing, stealing and misusing a token or a Global API key."""

import hmac
import math
import re
from collections.abc import Callable

import pytest
from tests.unit.api.identity.test_access_table import routes
from tests.unit.api.tools.driver import ACCOUNT, OTHER_ACCOUNT, Api, secrets_of
from tests.unit.api.tools.tokens import READ, keep, row

from nightsafe.api.http.routing import Resource
from nightsafe.identity import credentials
from nightsafe.identity.credentials import has_valid_checksum, new_key, new_token
from nightsafe.identity.permissions import ALL_ACCESS, Action
from nightsafe.identity.policy import policies_for

TOKENS = f"/client/v4/accounts/{ACCOUNT}/tokens"


@pytest.mark.parametrize(("make", "prefix"), [(new_token, "nst_"), (new_key, "nsk_")])
def test_credentials_are_random_and_recognisable(make: Callable[[], str], prefix: str) -> None:
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

    Each lookup of a credential goes through `hmac.compare_digest` once, with 32 bytes of SHA-256.
    """
    compared: list[tuple[bytes, bytes]] = []

    def compare(known: bytes, given: bytes) -> bool:
        """Record both sides of a comparison, then compare them."""
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


def test_a_deny_policy_wins(api: Api) -> None:
    """A policy that denies wins over policies that allow."""
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


def test_credentials_are_shown_once(own_api: Api) -> None:
    """Tokens and Global API keys are shown once.

    The call that creates or rolls a credential shows it; afterwards it is in no answer, and not in the database.
    """
    assert own_api.upload("worker").status == 200
    permission = {"id": READ, "effect": "allow"}
    policy = {
        "effect": "allow",
        "permission_groups": [permission],
        "resources": {f"com.cloudflare.api.account.{ACCOUNT}": "*"},
    }
    made = own_api.json("POST", TOKENS, {"name": "new", "policies": [policy]}).result
    rolled = own_api.json("PUT", f"{TOKENS}/{made['id']}/value", {}).result
    shown = [made["value"], rolled, own_api.credentials.api_token, own_api.credentials.api_key]
    later = [own_api.send(route.method, _about(route.path, made["id"])) for route in routes(own_api) if reads(route)]
    heard = b"".join(repr(answer.headers).encode() + answer.body for answer in later)
    own_api.restart()

    assert 4 == len(set(shown))
    assert made["id"].encode() in heard
    for credential in shown:
        assert has_valid_checksum(credential)
        assert credential[4:].encode() not in heard + own_api.path.read_bytes()


def reads(route: Resource) -> bool:
    """Return whether a route only reads, and does not wait for an event."""
    return route.method == "GET" and route.action not in {Action.DELIVER, Action.RESEAL}


def _about(path: str, token_id: str) -> str:
    """Fill a route's path with the ids and names that exist here."""
    known = {"account_id": ACCOUNT, "script_name": "worker", "token_id": token_id}
    return re.sub(r"{(\w+)}", lambda part: known.get(part[1], "0" * 32), path)


@pytest.mark.parametrize(
    "policies", [b"[]", policies_for(OTHER_ACCOUNT, ALL_ACCESS), policies_for(ACCOUNT, "0" * 32)]
)
def test_a_call_without_a_policy_is_refused(api: Api, policies: bytes) -> None:
    """A call that no policy allows is refused.

    Every call is refused for a token without policies, with a policy for another account, or with an unknown
    permission. Exceptions are verifying the token itself, listing the accounts that it sees, which does not show this
    account, and, with Audit Read on another account, the log's checkpoint and hashes, which tell nothing about
    entries.
    """
    made = new_token()
    keep(api, row(made, policies))
    headers = [(b"authorization", b"Bearer " + made.encode())]
    told = {
        route.path: answer.body
        for route in routes(api)
        if (answer := api.send(route.method, _about(route.path, "0" * 32), b"", headers, anonymous=True)).status
        not in {401, 403}
    }

    of_the_log = {path for path in told if "/nightsafe/log/" in path}
    assert {"/client/v4/accounts", "/client/v4/user/tokens/verify"} >= told.keys() - of_the_log
    assert ACCOUNT.encode() not in b"".join(told.values())
