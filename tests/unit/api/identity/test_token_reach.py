"""A token that may make tokens makes none that lasts longer or is good from elsewhere, and touches none such."""

from typing import Any

import pytest
from tests.unit.api.identity.test_tokens import ACCOUNT_TOKENS, ask, made, policy, scripts, wanted, works
from tests.unit.api.tools.driver import ACCOUNT, Api
from tests.unit.api.tools.tokens import READ, keep, policies_on, row

from nightsafe.identity.credentials import new_token
from nightsafe.identity.permissions import ALL_ACCESS
from nightsafe.identity.policy import ACCOUNT_RESOURCE, MAX_RESOURCES, allowing, encode_policies

END, LATER, SOONER = "2090-01-01T00:00:00Z", "2090-01-01T00:00:01Z", "2089-01-01T00:00:00Z"
HERE, WIDER, NARROWER = "192.0.2.0/24", "192.0.0.0/16", "192.0.2.0/28"
EXCEEDS = (403, [9109])


def within(*ranges: str, but: tuple[str, ...] = ()) -> dict[str, Any]:
    """A condition on addresses."""
    return {"request_ip": {"in": list(ranges), "not_in": list(but)}}


LIMITS: dict[str, Any] = {"expires_on": END, "condition": within(HERE, but=("192.0.2.200/32",))}
SHED: dict[str, tuple[dict[str, Any], str]] = {
    "no end": ({"expires_on": None}, "/expires_on"),
    "a later end": ({"expires_on": LATER}, "/expires_on"),
    "no condition": ({"condition": None}, "/condition"),
    "a wider range": ({"condition": within(WIDER, but=("192.0.2.200/32",))}, "/condition"),
    "a hole filled": ({"condition": within(HERE)}, "/condition"),
    "all but some": ({"condition": within(but=("192.0.2.200/32",))}, "/condition"),
    "IPv6 besides": ({"condition": within(NARROWER, "2001:db8::/32")}, "/condition"),
}


@pytest.mark.parametrize("shed", SHED)
def test_a_token_sheds_neither_end_nor_addresses(api: Api, shed: str) -> None:
    """Neither by a new token, nor by an update of itself, nor of one that it made; the refusal names the member."""
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


def test_the_latest_end_is_told(api: Api) -> None:
    """The refusal says what to give, and that is taken."""
    mine = made(api, ACCOUNT_TOKENS, policy(ALL_ACCESS), expires_on=END)["value"]
    [message] = ask(api, "POST", ACCOUNT_TOKENS, wanted(), mine).messages
    until = message.rpartition(" ")[2]

    assert ask(api, "POST", ACCOUNT_TOKENS, wanted(expires_on=until), mine).status == 200


def test_what_lies_within_is_given(api: Api) -> None:
    """The same limits, word for word; sooner and narrower ones; and whatever a token without limits likes."""
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
def test_a_token_that_has_more_is_not_touched(api: Api, how: str) -> None:
    """Its new value would be shown, and it is not the caller's to weaken; deleting it gives nothing."""
    mine = made(api, ACCOUNT_TOKENS, policy(ALL_ACCESS), **LIMITS)["value"]
    stronger = made(api, ACCOUNT_TOKENS, policy(READ), **STRONGER[how])
    at = f"{ACCOUNT_TOKENS}/{stronger['id']}"

    assert EXCEEDS == ask(api, "PUT", f"{at}/value", {}, mine).refusal
    assert EXCEEDS == ask(api, "PUT", at, wanted(status="disabled", **LIMITS), mine).refusal
    assert works(api, stronger["value"])
    assert ask(api, "DELETE", at, by=mine).status == 200


def test_a_token_with_other_rights_is_not_weakened(api: Api) -> None:
    """Whoever may write tokens, and the scripts of billing-*, changes no token for more than these."""
    mine = made(api, ACCOUNT_TOKENS, policy("5bc3f8b21c554832afc660159ab75fa4"), policy(READ, scope=scripts("b-*")))
    stronger = made(api, ACCOUNT_TOKENS, policy(READ))
    at = f"{ACCOUNT_TOKENS}/{stronger['id']}"

    assert EXCEEDS == ask(api, "PUT", at, wanted(policy(READ, scope=scripts("b-*"))), mine["value"]).refusal
    assert works(api, stronger["value"])


def test_a_token_of_an_earlier_time_with_too_much_does_nothing(api: Api) -> None:
    """It is refused as one that is unknown, however much it has; another may take it in hand, and then it works."""
    globs = [f"w{number}*" for number in range(MAX_RESOURCES)]
    many = [allowing(ACCOUNT_RESOURCE + ACCOUNT, READ)] * 5000
    for policies in (policies_on("worker", *globs), encode_policies(many)):
        secret = new_token()
        kept = row(secret, policies, account_id=ACCOUNT)
        keep(api, kept)
        assert not works(api, secret)
        at = f"{ACCOUNT_TOKENS}/{kept.id}"
        assert ask(api, "PUT", at, wanted()).status == 200
        assert works(api, secret)
        ask(api, "DELETE", at)
