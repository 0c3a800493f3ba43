"""Attacks by a token that tries to grant, change or reach more than its rights allow."""

from typing import Any

import pytest
from tests.unit.api.identity.test_target_access import HERE, NOT_THERE, THERE, asking, owner, refused, service, upload
from tests.unit.api.identity.test_token_reach import LIMITS, SHED, STRONGER
from tests.unit.api.identity.test_token_rights import EXCEEDS
from tests.unit.api.identity.test_tokens import ACCOUNT_TOKENS, ask, made, policy, scripts, wanted, works
from tests.unit.api.tools.driver import ACCOUNT, Answer, Api
from tests.unit.api.tools.tokens import READ, WRITE
from tests.unit.identity.test_bounds import calls_of, policies_of

from nightsafe.identity.delegation import covers
from nightsafe.identity.grants import Grants
from nightsafe.identity.permissions import ALL_ACCESS, Action
from nightsafe.identity.policy import Resource

TOKENS_WRITE = "5bc3f8b21c554832afc660159ab75fa4"


@pytest.fixture(scope="module", autouse=True)
def scripts_there(api: Api) -> None:
    """Upload the other script, which the tests call THERE."""
    assert api.upload(THERE).status == 200


def given(api: Api, by: dict[str, Any], body: dict[str, Any]) -> list[Answer]:
    """Return the answers when a token creates a token with this body, and when it updates itself to this body."""
    return [
        ask(api, "POST", ACCOUNT_TOKENS, body, by["value"]),
        ask(api, "PUT", f"{ACCOUNT_TOKENS}/{by['id']}", body, by["value"]),
    ]


def test_tokens_give_no_more_than_they_have(api: Api) -> None:
    """A token can give others only rights that it has: permissions, scripts, time and addresses."""
    mine = made(api, ACCOUNT_TOKENS, policy(TOKENS_WRITE), policy(READ, scope=scripts("billing-*")), **LIMITS)
    inside = policy(READ, scope=scripts("billing-eu-*"))
    more = [wanted(inside, **LIMITS | change) for change, _ in SHED.values()]
    more += [wanted(policy(WRITE, scope=scripts("billing-*")), **LIMITS), wanted(policy(READ), **LIMITS)]

    assert all(EXCEEDS == answer.refusal for body in more for answer in given(api, mine, body))
    assert ask(api, "POST", ACCOUNT_TOKENS, wanted(inside, **LIMITS), mine["value"]).status == 200


def test_stronger_tokens_cannot_be_changed(api: Api) -> None:
    """No caller can change a token that has more rights than the caller, or get its value."""
    mine = made(api, ACCOUNT_TOKENS, policy(TOKENS_WRITE), policy(READ), **LIMITS)["value"]
    for fields, groups in (*((one, READ) for one in STRONGER.values()), (LIMITS, ALL_ACCESS)):
        stronger = made(api, ACCOUNT_TOKENS, policy(groups), **fields)
        at = f"{ACCOUNT_TOKENS}/{stronger['id']}"
        assert EXCEEDS == ask(api, "PUT", f"{at}/value", {}, mine).refusal
        assert EXCEEDS == ask(api, "PUT", at, wanted(policy(READ), **LIMITS), mine).refusal
        assert works(api, stronger["value"])


def test_code_reaches_only_scripts_its_sender_may_read(own_api: Api) -> None:
    """A token limited to some scripts cannot upload code that reaches scripts it may not read."""
    assert own_api.upload(THERE).status == 200
    assert own_api.upload("billing-api").status == 200
    refused(upload(asking(own_api), bindings=[service(THERE)]))
    refused(upload(asking(own_api), tail_consumers=[{"service": THERE}]))
    assert upload(owner(own_api), bindings=[service(THERE)]).status == 200
    refused(upload(asking(own_api), keep_bindings=["service"]))


def test_a_refusal_does_not_tell_which_scripts_exist(api: Api) -> None:
    """The refusal does not tell whether they exist."""
    ask_for = asking(api)
    assert refused(upload(ask_for, bindings=[service(THERE)])) == refused(
        upload(ask_for, bindings=[service(NOT_THERE)])
    )


def test_an_id_wins_over_a_name(own_api: Api) -> None:
    """A write to a script by its id reaches that script, regardless of the names of other scripts."""
    assert own_api.upload("mine").status == 200
    script_id = own_api.send("GET", f"{HERE}/workers/mine").result["id"]
    assert own_api.upload(script_id).status == 200

    assert own_api.json("PATCH", f"{HERE}/workers/{script_id}", {"logpush": True}).result["name"] == "mine"
    assert own_api.send("GET", f"{HERE}/workers/mine").result["logpush"]


def test_checking_policies_is_bounded_work(api: Api) -> None:
    """The work of checking a token's policies is bounded, and grows linearly with the sizes that a caller chooses.

    Twenty policies of 51 scripts each are refused; a check against 600 patterns takes fewer than a hundred calls.
    """
    over = wanted(*[policy(READ, scope=scripts(*[f"s{number}" for number in range(51)]))] * 20)
    assert (400, [10021]) == ask(api, "POST", ACCOUNT_TOKENS, over).refusal

    many = Grants(policies_of(*[f"script-{number}-*" for number in range(600)]))
    assert calls_of(lambda: many.allow(Action.READ_SECRETS, Resource(ACCOUNT, "script-7-eu"))) < 100
    assert calls_of(lambda: covers(many, many)) < 600 * 100


def test_a_created_token_outlasts_its_creators_rights(api: Api) -> None:
    """A token keeps its rights when the token that made it loses some."""
    mine = made(api, ACCOUNT_TOKENS, policy(ALL_ACCESS))
    child = made(api, ACCOUNT_TOKENS, policy(READ), by=mine["value"])
    ask(api, "PUT", f"{ACCOUNT_TOKENS}/{mine['id']}", wanted(policy(READ), status="disabled"))

    assert not works(api, mine["value"])
    assert works(api, child["value"])


def test_stronger_tokens_can_be_deleted(api: Api) -> None:
    """A caller that may write tokens may delete every token of the same owner, also tokens with more rights."""
    mine = made(api, ACCOUNT_TOKENS, policy(TOKENS_WRITE))["value"]
    stronger = made(api, ACCOUNT_TOKENS, policy(ALL_ACCESS))
    assert ask(api, "DELETE", f"{ACCOUNT_TOKENS}/{stronger['id']}", by=mine).status == 200
    assert not works(api, stronger["value"])


def test_deployed_code_keeps_its_bindings(own_api: Api) -> None:
    """Deployed code keeps its access to other scripts when the token that uploaded it loses the right to read them.

    The next upload of the same code by that token is refused.
    """
    for script in (THERE, "billing-api"):
        assert own_api.upload(script).status == 200
    token = made(own_api, ACCOUNT_TOKENS, policy(WRITE))
    bound = [service(THERE)]
    assert upload(asking_with(own_api, token["value"]), bindings=bound).status == 200
    ask(own_api, "PUT", f"{ACCOUNT_TOKENS}/{token['id']}", wanted(policy(WRITE, scope=scripts("billing-*"))))

    refused(upload(asking_with(own_api, token["value"]), bindings=bound))
    assert bound == own_api.send("GET", f"{HERE}/scripts/billing-api/bindings").result


def asking_with(api: Api, value: str) -> Any:
    """Return a function that sends requests with this token."""
    bearer = (b"authorization", b"Bearer " + value.encode())
    return lambda method, path, body, headers: api.send(method, path, body, [bearer, *headers], anonymous=True)
