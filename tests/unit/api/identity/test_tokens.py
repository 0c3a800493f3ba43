"""Tokens of a user and of an account: made, shown, changed, rolled and deleted over the API."""

import json
from typing import Any

import pytest
from tests.unit.api.tools.driver import ACCOUNT, JSON, Answer, Api, Headers, secrets_of
from tests.unit.api.tools.tokens import READ, WRITE, keep

from nightsafe.identity.credentials import digest, has_valid_checksum, new_key
from nightsafe.identity.permissions import PERMISSION_GROUPS
from nightsafe.store.identities import Token, User

USER_TOKENS = "/client/v4/user/tokens"
ACCOUNT_TOKENS = f"/client/v4/accounts/{ACCOUNT}/tokens"
BOTH = pytest.mark.parametrize("base", [USER_TOKENS, ACCOUNT_TOKENS])
NOT_FOUND = (404, [1003])
INVALID_TOKEN = (401, [1000])


def policy(*groups: str, resource: str = ACCOUNT, scope: object = "*", effect: str = "allow") -> dict[str, Any]:
    """Return one policy in the form of a request."""
    name = resource if "." in resource else f"com.cloudflare.api.account.{resource}"
    return {"effect": effect, "permission_groups": [{"id": group} for group in groups], "resources": {name: scope}}


def scripts(*globs: str) -> dict[str, str]:
    """Return the scope of the scripts that match these globs."""
    return {f"com.nightsafe.script.{glob}": "*" for glob in globs}


def wanted(*policies: dict[str, Any], **fields: object) -> dict[str, Any]:
    """Return a body that asks for a token."""
    return {"name": "ci", "policies": list(policies) or [policy(READ)], **fields}


def key(api: Api) -> Headers:
    """Return the headers with the owner's Global API key."""
    made = api.credentials
    return [(b"x-auth-email", made.email.encode()), (b"x-auth-key", made.api_key.encode())]


def ask(api: Api, method: str, target: str, body: object = None, by: Headers | str = ()) -> Answer:
    """Send a request with the owner's key, a token's value or given headers."""
    headers = [(b"authorization", f"Bearer {by}".encode())] if isinstance(by, str) else [*(by or key(api))]
    sent = b"" if body is None else json.dumps(body).encode()
    return api.send(method, target, sent, [*headers, *([JSON] if sent else [])], anonymous=True)


def made(api: Api, base: str, *policies: dict[str, Any], by: Headers | str = (), **fields: object) -> dict[str, Any]:
    """Make a token; return it as the answer shows it."""
    result: dict[str, Any] = ask(api, "POST", base, wanted(*policies, **fields), by).result
    return result


def works(api: Api, value: str) -> bool:
    """Return whether a token may read the secrets of the script `worker`."""
    answer = ask(api, "GET", secrets_of("worker"), by=value)
    assert answer.status in {200, 403}
    return answer.status == 200


@BOTH
def test_only_the_creation_of_a_token_shows_its_value(api: Api, base: str) -> None:
    """A token is shown with all its fields, its ids and its groups' names; only its creation shows the value."""
    condition = {"request_ip": {"in": ["192.0.2.0/24", "2001:db8::/32"], "not_in": ["192.0.2.1/32"]}}
    fields = {"not_before": "2020-01-01T02:00:00+02:00", "expires_on": "2099-12-31T23:59:59.5Z"}
    token = made(api, base, policy(READ, scope=scripts("billing-*")), condition=condition, **fields)
    value = token.pop("value")

    assert has_valid_checksum(value)
    assert ask(api, "GET", f"{base}/{token['id']}").result == token
    assert token in ask(api, "GET", f"{base}?per_page=1000").result
    assert ("ci", "active", condition) == (token["name"], token["status"], token["condition"])
    assert (token["not_before"], token["expires_on"]) == ("2020-01-01T00:00:00Z", "2099-12-31T23:59:59.500000Z")
    assert token["issued_on"] == token["modified_on"]
    assert "last_used_on" not in token
    [shown] = token["policies"]
    assert len(shown.pop("id")) == 32
    groups = [{"id": READ, "name": "Workers Scripts Read"}]
    assert shown == policy(READ, scope=scripts("billing-*")) | {"permission_groups": groups}


@BOTH
def test_a_plain_token_has_no_empty_fields(api: Api, base: str) -> None:
    """Fields that were not requested are absent."""
    token = made(api, base)
    assert {"id", "name", "status", "issued_on", "modified_on", "policies", "value"} == set(token)


@BOTH
def test_a_rolled_token_has_another_value(api: Api, base: str) -> None:
    """The answer is the new value, which works at once; the old one is refused at once."""
    token = made(api, base)
    assert works(api, token["value"])
    value = ask(api, "PUT", f"{base}/{token['id']}/value", {}).result

    assert has_valid_checksum(value)
    assert not works(api, token["value"])
    assert works(api, value)


def test_stale_changes_of_a_rolled_token_are_refused(own_api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes based on a token's state before another process rolled it are refused with 503."""
    api = own_api
    api.upload("worker")
    token = made(api, ACCOUNT_TOKENS)
    at = f"{ACCOUNT_TOKENS}/{token['id']}"
    before = api.run(api.store.token_by_id(token["id"]))
    value = ask(api, "PUT", f"{at}/value", {}).result

    async def stale(_: str) -> Token | None:
        """Return the earlier state."""
        return before

    with monkeypatch.context() as late:
        late.setattr(api.store, "token_by_id", stale)
        for method, target, body in (("PUT", at, wanted()), ("PUT", f"{at}/value", {}), ("DELETE", at, None)):
            sent = json.dumps(body).encode() if body is not None else b""
            answer = api.try_send(method, target, sent, [*key(api), *([JSON] if sent else [])], anonymous=True)
            assert answer is not None
            assert (503, [10002]) == answer.refusal
    assert not works(api, token["value"])
    assert works(api, value)


@BOTH
def test_a_disabled_token_is_refused_until_it_is_active(api: Api, base: str) -> None:
    """A changed status applies to the next request; an update without a status keeps it."""
    token = made(api, base)
    at = f"{base}/{token['id']}"
    for status, valid in (("disabled", False), (None, False), ("active", True), ("expired", True)):
        shown = ask(api, "PUT", at, wanted(**({"status": status} if status else {}))).result
        assert works(api, token["value"]) is valid
        assert shown["status"] == ("active" if valid else "disabled")


@BOTH
def test_a_token_past_its_end_is_expired(api: Api, base: str) -> None:
    """A token past its expiry is shown as expired and refused; a later expiry makes it valid again."""
    token = made(api, base, expires_on="2099-01-01T00:00:00Z")
    at = f"{base}/{token['id']}"
    assert works(api, token["value"])
    assert ask(api, "PUT", at, wanted(expires_on="2001-01-01T00:00:00Z")).result["status"] == "expired"
    assert ask(api, "GET", at).result["status"] == "expired"
    assert not works(api, token["value"])
    assert ask(api, "PUT", at, wanted()).result["status"] == "active"
    assert works(api, token["value"])


@BOTH
def test_a_token_from_a_forbidden_address_is_refused(api: Api, base: str) -> None:
    """A changed condition applies to the next request; the requests of these tests come from 192.0.2.7."""
    token = made(api, base, condition={"request_ip": {"in": ["192.0.2.0/24"]}})
    assert works(api, token["value"])
    ask(api, "PUT", f"{base}/{token['id']}", wanted(condition={"request_ip": {"not_in": ["192.0.2.7/32"]}}))
    assert not works(api, token["value"])


@BOTH
def test_a_deleted_token_is_refused_and_not_listed(api: Api, base: str) -> None:
    """A deleted token is refused at once, is in no list, and cannot be deleted again."""
    token = made(api, base)
    at = f"{base}/{token['id']}"
    assert works(api, token["value"])

    assert ask(api, "DELETE", at).result == {"id": token["id"]}
    assert not works(api, token["value"])
    assert token["id"] not in [listed["id"] for listed in ask(api, "GET", f"{base}?per_page=1000").result]
    for method, target, body in (
        ("GET", at, None), ("PUT", at, wanted()), ("DELETE", at, None), ("PUT", f"{at}/value", {}),
    ):  # fmt: skip
        assert NOT_FOUND == ask(api, method, target, body).refusal


@BOTH
def test_an_update_replaces_everything_but_the_value(api: Api, base: str) -> None:
    """Fields that an update omits are removed; a policy sent with its ID keeps it."""
    token = made(api, base, policy(READ), policy(WRITE), condition={"request_ip": {"in": ["::/0"]}})
    kept, unknown = token["policies"][1], policy(READ) | {"id": "f" * 32}
    changed = ask(api, "PUT", f"{base}/{token['id']}", {"name": "new", "policies": [kept, unknown]}).result

    assert "condition" not in changed
    assert "value" not in changed
    assert ("new", kept) == (changed["name"], changed["policies"][0])
    assert changed["policies"][1]["id"] not in {"f" * 32, *(policy["id"] for policy in token["policies"])}
    assert changed["modified_on"] > changed["issued_on"] == token["issued_on"]
    assert works(api, token["value"])


def test_user_and_account_tokens_are_separate(api: Api) -> None:
    """A user's token is not found below the account, nor an account's token below the user."""
    for mine, other in ((USER_TOKENS, ACCOUNT_TOKENS), (ACCOUNT_TOKENS, USER_TOKENS)):
        token_id = made(api, mine)["id"]
        assert NOT_FOUND == ask(api, "GET", f"{other}/{token_id}").refusal
        assert NOT_FOUND == ask(api, "DELETE", f"{other}/{token_id}").refusal
        assert ask(api, "GET", f"{mine}/{token_id}").status == 200


def test_users_tokens_are_separate(api: Api) -> None:
    """A user cannot see or change another user's tokens."""
    secret = new_key()
    keep(api, User("9" * 32, "another@example.com", digest(secret), 0))
    other = [(b"x-auth-email", b"another@example.com"), (b"x-auth-key", secret.encode())]
    at = f"{USER_TOKENS}/{made(api, USER_TOKENS)['id']}"

    assert ask(api, "GET", USER_TOKENS, by=other).result == []
    assert NOT_FOUND == ask(api, "GET", at, by=other).refusal
    assert NOT_FOUND == ask(api, "PUT", f"{at}/value", {}, other).refusal
    assert (403, [10000]) == ask(api, "GET", ACCOUNT_TOKENS, by=other).refusal


@BOTH
def test_tokens_are_listed_in_pages(own_api: Api, base: str) -> None:
    """Every token is on one page, in order of creation; the page past the end is empty."""
    api = own_api
    before = [token["id"] for token in ask(api, "GET", base).result]
    ids = before + [made(api, base)["id"] for _ in range(5)]
    pages = [ask(api, "GET", f"{base}?page={page}&per_page=2") for page in (1, 2, 3, 4)]
    total = len(ids)

    assert ids == [token["id"] for page in pages for token in page.result]
    assert pages[-1].result == []
    assert pages[0].envelope["result_info"] == {
        "page": 1, "per_page": 2, "count": 2, "total_count": total, "total_pages": (total + 1) // 2,
    }  # fmt: skip
    assert ids[::-1] == [token["id"] for token in ask(api, "GET", f"{base}?direction=desc").result]
    assert ask(api, "GET", base).envelope["result_info"]["per_page"] == 20


@pytest.mark.parametrize("query", ["page=0", "page=-1", "page=x", "per_page=0", "per_page=1.5", "page=9999999999"])
def test_an_invalid_page_is_refused(api: Api, query: str) -> None:
    """The refusal names the bad parameter."""
    answer = ask(api, "GET", f"{USER_TOKENS}?{query}")
    assert (400, [10021]) == answer.refusal
    assert query.partition("=")[0] in answer.messages[0]


def test_page_sizes_are_capped(api: Api) -> None:
    """A page has at most 1,000 tokens; a number may have a decimal point."""
    info = ask(api, "GET", f"{USER_TOKENS}?per_page=5000&page=1.0").envelope["result_info"]
    assert (1, 1000) == (info["page"], info["per_page"])


def test_too_many_parameters_are_refused(api: Api) -> None:
    """A query with too many parameters is refused."""
    assert (400, [10021]) == ask(api, "GET", USER_TOKENS + "?" + "&".join(["a=1"] * 200)).refusal


def test_verify_accepts_only_tokens_of_its_owner(api: Api) -> None:
    """A user's token is verified below `/user`, an account's below its account, with Cloudflare's messages."""
    valid = [{"code": 10000, "message": "This API Token is valid and active", "type": None}]
    for base, other in ((USER_TOKENS, ACCOUNT_TOKENS), (ACCOUNT_TOKENS, USER_TOKENS)):
        token = made(api, base, not_before="2020-01-01T00:00:00Z", expires_on="2099-01-01T00:00:00Z")
        answer = ask(api, "GET", f"{base}/verify", by=token["value"])
        times = {"not_before": "2020-01-01T00:00:00Z", "expires_on": "2099-01-01T00:00:00Z"}

        assert answer.result == {"id": token["id"], "status": "active"} | times
        assert valid == answer.envelope["messages"]
        assert INVALID_TOKEN == ask(api, "GET", f"{other}/verify", by=token["value"]).refusal
        assert INVALID_TOKEN == ask(api, "GET", f"{base}/verify").refusal
        ask(api, "DELETE", f"{base}/{token['id']}")
        gone = ask(api, "GET", f"{base}/verify", by=token["value"])
        assert (INVALID_TOKEN, ["Invalid API Token"]) == (gone.refusal, gone.messages)


def test_permission_groups_are_listed(api: Api) -> None:
    """Permission groups can be filtered by name and scope; an account's list omits groups for users only."""
    groups = ask(api, "GET", f"{USER_TOKENS}/permission_groups").result
    of_account = ask(api, "GET", f"{ACCOUNT_TOKENS}/permission_groups").result

    assert [*PERMISSION_GROUPS] == [group["id"] for group in groups]
    assert [group for group in groups if "com.cloudflare.api.account" in group["scopes"]] == of_account
    by_name = ask(api, "GET", f"{USER_TOKENS}/permission_groups?name=Workers%20Scripts%20Read").result
    assert [READ] == [group["id"] for group in by_name]
    by_scope = ask(api, "GET", f"{USER_TOKENS}/permission_groups?scope=com.cloudflare.api.user").result
    assert [group for group in groups if "com.cloudflare.api.user" in group["scopes"]] == by_scope
    assert ask(api, "GET", f"{USER_TOKENS}/permission_groups?name=none").result == []
