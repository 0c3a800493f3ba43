"""Rights of new tokens: no more than the caller's own, and only valid policies."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.api.identity.test_tokens import (
    ACCOUNT_TOKENS,
    BOTH,
    USER_TOKENS,
    ask,
    key,
    made,
    policy,
    scripts,
    wanted,
)
from tests.unit.api.tools.driver import ACCOUNT, JSON, OTHER_ACCOUNT, Api
from tests.unit.api.tools.tokens import READ, WRITE

from nightsafe.identity.permissions import ALL_ACCESS, PERMISSION_GROUPS
from nightsafe.identity.policy import USER_RESOURCE

TOKENS_WRITE = "5bc3f8b21c554832afc660159ab75fa4"
EXCEEDS = (403, [9109])


def entries(api: Api, account_id: str) -> list[dict[str, Any]]:
    """Return the log of an account."""
    return [json.loads(record.entry) for _, record in api.run(api.store.audit_entries(account_id, 0, 10_000))]


ROUTES = [
    ("GET", "", None), ("POST", "", wanted()), ("GET", "/permission_groups", None), ("GET", "/" + "0" * 32, None),
    ("PUT", "/" + "0" * 32, wanted()), ("DELETE", "/" + "0" * 32, None), ("PUT", f"/{'0' * 32}/value", {}),
]  # fmt: skip


@pytest.mark.parametrize(("method", "suffix", "body"), ROUTES)
def test_token_requests_need_their_permission(api: Api, method: str, suffix: str, body: object) -> None:
    """Without the permission, requests get 9109 below `/user` and 10000 below an account; readers cannot write."""
    tokens_read = next(group for group in PERMISSION_GROUPS.values() if group.name == "API Tokens Read")
    nothing = made(api, USER_TOKENS)["value"]
    user = f"{USER_RESOURCE}{ask(api, 'GET', '/client/v4/user').result['id']}"
    reader = made(api, USER_TOKENS, policy(tokens_read.id, resource=user))["value"]

    assert (403, [9109]) == ask(api, method, USER_TOKENS + suffix, body, nothing).refusal
    assert (403, [10000]) == ask(api, method, ACCOUNT_TOKENS + suffix, body, nothing).refusal
    if method != "GET":
        assert (403, [9109]) == ask(api, method, USER_TOKENS + suffix, body, reader).refusal
    else:
        assert ask(api, method, USER_TOKENS + suffix, body, reader).status in {200, 404}
    of_account = made(api, ACCOUNT_TOKENS, policy(ALL_ACCESS))["value"]
    assert (403, [9109]) == ask(api, method, USER_TOKENS + suffix, body, of_account).refusal
    assert ask(api, method, ACCOUNT_TOKENS + suffix, body, of_account).status in {200, 404}


@pytest.mark.parametrize("policies", [
    [policy(WRITE, resource=OTHER_ACCOUNT)],
    [policy(WRITE, resource="*")],
    [policy(READ, scope=scripts("billing-*"))],
    [policy(READ), policy(ALL_ACCESS)],
    [policy(READ), policy(READ, effect="deny", resource=OTHER_ACCOUNT), policy(WRITE)],
    [policy(READ, resource=USER_RESOURCE + "0" * 32)],
])  # fmt: skip
def test_a_token_cannot_grant_more_than_it_has(api: Api, policies: list[dict[str, Any]]) -> None:
    """A token that may make tokens and write the secrets of `billing-*` cannot give more than that.

    Neither a new token, nor an update of one, nor the roll of a stronger one gives more.
    """
    writer = "6e6967687473616665207365637265c1"
    granted = [policy(TOKENS_WRITE), policy(writer, scope=scripts("billing-*"))]
    by = made(api, USER_TOKENS, *granted)["value"]
    foreign = {OTHER_ACCOUNT, "*", USER_RESOURCE + "0" * 32}
    named = {name.rpartition(".account.")[2] for sent in policies for name in sent["resources"]}
    expected = (400, [10021]) if named & foreign else EXCEEDS

    assert expected == ask(api, "POST", ACCOUNT_TOKENS, wanted(*policies), by).refusal
    own = made(api, ACCOUNT_TOKENS, policy(writer, scope=scripts("billing-eu-*", "billing-us")), by=by)
    at = f"{ACCOUNT_TOKENS}/{own['id']}"
    assert expected == ask(api, "PUT", at, wanted(*policies), by).refusal
    assert ask(api, "GET", at, by=by).result["policies"] == own["policies"]
    assert ask(api, "PUT", f"{at}/value", {}, by).status == 200
    stronger = made(api, ACCOUNT_TOKENS, policy(ALL_ACCESS))["id"]
    assert EXCEEDS == ask(api, "PUT", f"{ACCOUNT_TOKENS}/{stronger}/value", {}, by).refusal


def test_a_user_cannot_grant_access_to_a_foreign_account(api: Api) -> None:
    """A user's token cannot name an account without the user as a member, nor all accounts."""
    for account in (OTHER_ACCOUNT, "*"):
        answer = ask(api, "POST", USER_TOKENS, wanted(policy(READ, resource=account)))
        assert (EXCEEDS, ["/policies"]) == (answer.refusal, answer.pointers)


def test_delivery_cannot_be_granted_over_the_api(api: Api) -> None:
    """Even the owner cannot grant the delivery permission over the API: only the operator can."""
    delivery = next(group for group in PERMISSION_GROUPS.values() if group.name == "Nightsafe Delivery")
    assert EXCEEDS == ask(api, "POST", ACCOUNT_TOKENS, wanted(policy(delivery.id))).refusal


@BOTH
def test_every_change_of_a_token_is_logged(api: Api, base: str) -> None:
    """Each entry has the caller, the token and the policy that allowed the change, and no value."""
    token = made(api, base)
    at = f"{base}/{token['id']}"
    ask(api, "PUT", at, wanted())
    value = ask(api, "PUT", f"{at}/value", {}).result
    ask(api, "DELETE", at)
    account_id = "" if base == USER_TOKENS else ACCOUNT
    log = [entry for entry in entries(api, account_id) if entry.get("resource") == token["id"]]

    assert ["tokens.create", "tokens.update", "tokens.roll", "tokens.delete"] == [entry["action"] for entry in log]
    assert {("key", api.credentials.email, "192.0.2.7")} == {
        (entry["actor_kind"], entry["email"], entry["address"]) for entry in log
    }
    assert all(entry["permission"] == "tokens.write" and entry["policy"] for entry in log)
    assert not any(secret in json.dumps(log) for secret in (value, token["value"]))


BAD: list[tuple[object, str]] = [
    ([], ""), ("x", ""), (None, ""),
    ({"policies": [policy(READ)]}, "/name"), (wanted(name=1), "/name"), (wanted(name=""), "/name"),
    (wanted(name="x" * 121), "/name"), (wanted(name="a\nb"), "/name"),
    ({"name": "ci"}, "/policies"), (wanted(policies=[]), "/policies"), (wanted(policies={}), "/policies"),
    (wanted(policies=[policy(READ)] * 101), "/policies"), (wanted(policies=[1]), "/policies/0"),
    (wanted(policy(READ), policy(READ, effect="perhaps")), "/policies/1/effect"),
    (wanted({"effect": "allow", "resources": {"x": "*"}}), "/policies/0/permission_groups"),
    (wanted(policy(READ) | {"resources": []}), "/policies/0/resources"),
    (wanted(policy(READ) | {"resources": {}}), "/policies/0"), (wanted(policy()), "/policies/0"),
    (wanted(policy("0" * 32)), "/policies/0/permission_groups/0/id"),
    (wanted(policy(READ) | {"permission_groups": [{"name": "x"}]}), "/policies/0/permission_groups/0/id"),
    (wanted(policy(*[READ] * 1001)), "/policies"), (wanted(*[policy(*[READ] * 501)] * 2), "/policies"),
    (wanted(policy(READ, scope=scripts(*[f"s{number}" for number in range(1001)]))), "/policies"),
    (wanted(*[policy(READ, scope=scripts(*[f"s{number}" for number in range(51)]))] * 20), "/policies"),
    (wanted(policy(READ, scope=scripts(*[f"s*{number}" for number in range(65)]))), "/policies"),
    (wanted(policy(READ, scope=scripts(*[f"*{number}" + "x" * 250 for number in range(5)]))), "/policies"),
    (wanted(policy(READ, scope=scripts(*[f"{number:0250}" for number in range(66)]))), "/policies"),
    (wanted(policy(READ, resource="com.cloudflare.api.account.zone." + ACCOUNT)), "/policies/0/resources"),
    (wanted(policy(READ, scope="billing-*")), "/policies/0/resources"),
    (wanted(policy(READ, scope={"billing-*": "*"})), "/policies/0/resources"),
    (wanted(policy(READ, scope={})), "/policies/0/resources"),
    (wanted(condition=[]), "/condition"), (wanted(condition={"request_ip": 1}), "/condition/request_ip"),
    (wanted(condition={"request_ip": {"in": "::/0"}}), "/condition/request_ip/in"),
    (wanted(condition={"request_ip": {"in": ["::/0", "10.0.0.0/33"]}}), "/condition/request_ip/in/1"),
    (wanted(condition={"request_ip": {"not_in": [1]}}), "/condition/request_ip/not_in/0"),
    (wanted(condition={"request_ip": {"in": ["::/0"] * 301}}), "/condition/request_ip/in"),
    (wanted(expires_on=1), "/expires_on"), (wanted(expires_on="2030-01-01"), "/expires_on"),
    (wanted(expires_on="2030-01-01T00:00:00"), "/expires_on"),
    (wanted(not_before="1969-12-31T23:59:59Z"), "/not_before"),
    (wanted(not_before="0001-01-01T00:00:00+12:00"), "/not_before"),
    (wanted(not_before="2030-13-01T00:00:00Z"), "/not_before"),
    (wanted(expires_on="2001-01-01T00:00:00Z"), "/expires_on"),
    (wanted(not_before="2040-01-01T00:00:00Z", expires_on="2040-01-01T00:00:00Z"), "/expires_on"),
    (wanted(status="off"), "/status"),
]  # fmt: skip


@BOTH
@pytest.mark.parametrize(("body", "pointer"), BAD)
def test_an_invalid_token_request_is_refused_with_a_pointer(api: Api, base: str, body: object, pointer: str) -> None:
    """The refusal is 400 / 10021 with a pointer, and no token is made."""
    before = ask(api, "GET", f"{base}?per_page=1").envelope["result_info"]["total_count"]
    answer = api.send("POST", base, json.dumps(body).encode(), [*key(api), JSON], anonymous=True)

    assert ((400, [10021]), [pointer]) == (answer.refusal, answer.pointers)
    assert before == ask(api, "GET", f"{base}?per_page=1").envelope["result_info"]["total_count"]


def test_an_accounts_token_is_limited_to_its_account(api: Api) -> None:
    """An account's token cannot name a user, another account or all accounts, for any caller."""
    for resource in (OTHER_ACCOUNT, "*", USER_RESOURCE + "0" * 32):
        answer = ask(api, "POST", ACCOUNT_TOKENS, wanted(policy(READ), policy(READ, resource=resource)))
        assert ((400, [10021]), ["/policies/1/resources"]) == (answer.refusal, answer.pointers)


def test_unknown_members_and_nulls_are_ignored(api: Api) -> None:
    """Unknown members and nulls are ignored, as at Cloudflare, so that a shown token can be sent back."""
    token = made(api, USER_TOKENS, condition=None, expires_on=None, not_before=None, more={"a": 1})
    assert ask(api, "PUT", f"{USER_TOKENS}/{token['id']}", token).status == 200


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "*", "allow", READ, "::/0"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["id", "effect", "resources", "permission_groups", "request_ip", "in", "not_in"]), inner
        )
    ),
    max_leaves=8,
)
FIELDS = st.sampled_from(["name", "policies", "condition", "not_before", "expires_on", "status"])


@given(st.dictionaries(FIELDS, JSON_VALUES))
def test_any_body_is_answered(api: Api, fields: dict[str, Any]) -> None:
    """Any fields make a token or are refused; there is no internal error."""
    answer = ask(api, "POST", USER_TOKENS, wanted() | fields)
    assert answer.status == 200 or (answer.status in {400, 403} and answer.pointers != [None])
