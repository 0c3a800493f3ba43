"""Limits of tokens that make tokens: no new or changed token may last longer or be valid from more addresses."""

from typing import Any

import pytest
from tests.unit.api.identity.test_tokens import ACCOUNT_TOKENS, ask, made, policy, scripts, wanted, works
from tests.unit.api.tools.driver import ACCOUNT, Api
from tests.unit.api.tools.tokens import READ, keep, policies_on, row

from nightsafe.identity.credentials import new_token
from nightsafe.identity.permissions import ALL_ACCESS
from nightsafe.identity.policy import ACCOUNT_RESOURCE, MAX_RESOURCES, allow_policy, encode_policies

END, LATER, SOONER = "2090-01-01T00:00:00Z", "2090-01-01T00:00:01Z", "2089-01-01T00:00:00Z"
HERE, WIDER, NARROWER = "192.0.2.0/24", "192.0.0.0/16", "192.0.2.0/28"
EXCEEDS = (403, [9109])


def within(*ranges: str, but: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a condition on addresses."""
    return {"request_ip": {"in": list(ranges), "not_in": list(but)}}


LIMITS: dict[str, Any] = {"expires_on": END, "condition": within(HERE, but=("192.0.2.200/32",))}
SHED: dict[str, tuple[dict[str, Any], str]] = {
    "no end": ({"expires_on": None}, "/expires_on"),
    "a later end": ({"expires_on": LATER}, "/expires_on"),
    "no condition": ({"condition": None}, "/condition"),
    "a wider range": ({"condition": within(WIDER, but=("192.0.2.200/32",))}, "/condition"),
    "an exclusion dropped": ({"condition": within(HERE)}, "/condition"),
    "only an exclusion": ({"condition": within(but=("192.0.2.200/32",))}, "/condition"),
    "IPv6 besides": ({"condition": within(NARROWER, "2001:db8::/32")}, "/condition"),
}


@pytest.mark.parametrize("shed", SHED)
def test_a_token_cannot_exceed_its_own_limits(api: Api, shed: str) -> None:
    """A token cannot exceed its own limits by a new token, by updating itself or by updating a token that it made."""
    mine = made(api, ACCOUNT_TOKENS, policy(ALL_ACCESS), **LIMITS)
    own = made(api, ACCOUNT_TOKENS, policy(READ), by=mine["value"], **LIMITS)
    change, pointer = SHED[shed]
    body = wanted(policy(READ), **LIMITS | change)
    for method, at in (
        ("POST", ACCOUNT_TOKENS),
        ("PUT", f"{ACCOUNT_TOKENS}/{mine['id']}"),
        ("PUT", f"{ACCOUNT_TOKENS}/{own['id']}"),
    ):
        answer = ask(api, method, at, body, mine["value"])
        assert (EXCEEDS, [pointer]) == (answer.refusal, answer.pointers)
    for token in (mine, own):
        shown = ask(api, "GET", f"{ACCOUNT_TOKENS}/{token['id']}").result
        assert (token["expires_on"], token["condition"]) == (shown["expires_on"], shown["condition"])


def test_a_refusal_tells_the_latest_possible_expiry(api: Api) -> None:
    """The refusal tells the latest possible expiry, which is then accepted."""
    mine = made(api, ACCOUNT_TOKENS, policy(ALL_ACCESS), expires_on=END)["value"]
    [message] = ask(api, "POST", ACCOUNT_TOKENS, wanted(), mine).messages
    until = message.rpartition(" ")[2]

    assert ask(api, "POST", ACCOUNT_TOKENS, wanted(expires_on=until), mine).status == 200


def test_tokens_with_narrower_limits_can_be_made(api: Api) -> None:
    """A token may make tokens with the same or narrower limits; a token without limits may make any."""
    mine = made(api, ACCOUNT_TOKENS, policy(ALL_ACCESS), **LIMITS)["value"]
    for fields in (
        LIMITS,
        LIMITS | {"expires_on": SOONER},
        LIMITS | {"condition": within(NARROWER, "192.0.2.64/26")},
    ):
        token = made(api, ACCOUNT_TOKENS, policy(READ), by=mine, **fields)
        assert works(api, token["value"])
    assert works(api, made(api, ACCOUNT_TOKENS, policy(READ))["value"])


STRONGER: dict[str, dict[str, Any]] = {
    "for longer": LIMITS | {"expires_on": LATER},
    "for ever": LIMITS | {"expires_on": None},
    "from elsewhere": LIMITS | {"condition": within(WIDER)},
    "from anywhere": LIMITS | {"condition": None},
}


@pytest.mark.parametrize("how", STRONGER)
def test_a_token_with_wider_limits_cannot_be_changed(api: Api, how: str) -> None:
    """A token with wider limits cannot be rolled or updated, because both would give its value or weaken it.

    It can be deleted, because that grants nothing.
    """
    mine = made(api, ACCOUNT_TOKENS, policy(ALL_ACCESS), **LIMITS)["value"]
    stronger = made(api, ACCOUNT_TOKENS, policy(READ), **STRONGER[how])
    at = f"{ACCOUNT_TOKENS}/{stronger['id']}"

    assert EXCEEDS == ask(api, "PUT", f"{at}/value", {}, mine).refusal
    assert EXCEEDS == ask(api, "PUT", at, wanted(status="disabled", **LIMITS), mine).refusal
    assert works(api, stronger["value"])
    assert ask(api, "DELETE", at, by=mine).status == 200


def test_a_token_with_other_rights_cannot_be_changed(api: Api) -> None:
    """A token cannot update another that has permissions beyond its own."""
    mine = made(api, ACCOUNT_TOKENS, policy("5bc3f8b21c554832afc660159ab75fa4"), policy(READ, scope=scripts("b-*")))
    stronger = made(api, ACCOUNT_TOKENS, policy(READ))
    at = f"{ACCOUNT_TOKENS}/{stronger['id']}"

    assert EXCEEDS == ask(api, "PUT", at, wanted(policy(READ, scope=scripts("b-*"))), mine["value"]).refusal
    assert works(api, stronger["value"])


def test_a_stored_token_with_oversized_policies_is_refused(api: Api) -> None:
    """A stored token with too many or too large policies is refused as unknown, until its policies are replaced."""
    globs = [f"w{number}*" for number in range(MAX_RESOURCES)]
    many = [allow_policy(ACCOUNT_RESOURCE + ACCOUNT, READ)] * 5000
    for policies in (policies_on("worker", *globs), encode_policies(many)):
        secret = new_token()
        kept = row(secret, policies, account_id=ACCOUNT)
        keep(api, kept)
        assert not works(api, secret)
        at = f"{ACCOUNT_TOKENS}/{kept.id}"
        assert ask(api, "PUT", at, wanted()).status == 200
        assert works(api, secret)
        ask(api, "DELETE", at)
