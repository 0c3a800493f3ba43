"""The caller's user, accounts and memberships."""

import pytest
from tests.unit.api.identity.test_tokens import ACCOUNT_TOKENS, USER_TOKENS, ask, made, policy, scripts
from tests.unit.api.tools.driver import ACCOUNT, OTHER_ACCOUNT, Api
from tests.unit.api.tools.tokens import READ, keep

from nightsafe.identity.permissions import ALL_ACCESS, PERMISSION_GROUPS
from nightsafe.identity.policy import USER_RESOURCE, policies_for
from nightsafe.store.identities import Account, Membership

USER = "/client/v4/user"
ACCOUNTS = "/client/v4/accounts"
MEMBERSHIPS = "/client/v4/memberships"


def group(name: str) -> str:
    """Return a permission group's id."""
    return next(group.id for group in PERMISSION_GROUPS.values() if group.name == name)


@pytest.fixture
def user_id(api: Api) -> str:
    """Return the owner's id."""
    found: str = ask(api, "GET", USER).result["id"]
    return found


def test_a_user_is_shown(api: Api) -> None:
    """A user is shown with the e-mail address, which wrangler prints."""
    user = ask(api, "GET", USER).result
    assert (api.credentials.email, False) == (user["email"], user["suspended"])


def test_the_user_is_shown_only_with_its_permission(api: Api, user_id: str) -> None:
    """Tokens without the permission, and unknown ones, get 9109, which wrangler takes for a missing permission."""
    reader = made(api, USER_TOKENS, policy(group("User Details Read"), resource=USER_RESOURCE + user_id))
    assert ask(api, "GET", USER, by=reader["value"]).result["id"] == user_id
    for base in (USER_TOKENS, ACCOUNT_TOKENS):
        answer = ask(api, "GET", USER, by=made(api, base, policy(ALL_ACCESS))["value"])
        assert (403, [9109]) == answer.refusal
        assert answer.messages == ["Unauthorized to access requested resource"]
    unknown = ask(api, "GET", USER, by="nst_unknown")
    assert ((403, [9109]), ["Invalid access token"]) == (unknown.refusal, unknown.messages)


def test_only_accessible_accounts_are_listed(own_api: Api) -> None:
    """The list has every account for which a policy allows something that none denies."""
    api = own_api
    keep(api, Account(OTHER_ACCOUNT, "another", 1))
    [account] = ask(api, "GET", ACCOUNTS).result

    assert (ACCOUNT, "an account", "standard") == (account["id"], account["name"], account["type"])
    for base in (USER_TOKENS, ACCOUNT_TOKENS):
        some = made(api, base, policy(READ, scope=scripts("a")))["value"]
        assert [account] == ask(api, "GET", ACCOUNTS, by=some).result
        none = made(api, base, policy(READ), policy(ALL_ACCESS, effect="deny"))["value"]
        assert ask(api, "GET", ACCOUNTS, by=none).result == []
    assert [account] == ask(api, "GET", ACCOUNTS + "?name=an%20account").result
    assert ask(api, "GET", ACCOUNTS + "?name=another").result == []


def test_an_account_is_shown_only_with_its_permission(api: Api) -> None:
    """A caller with the permission may read the account; a missing account is refused like another's."""
    [account] = ask(api, "GET", ACCOUNTS).result
    settings = made(api, ACCOUNT_TOKENS, policy(group("Account Settings Read")))["value"]

    assert account == ask(api, "GET", f"{ACCOUNTS}/{ACCOUNT}").result
    assert account == ask(api, "GET", f"{ACCOUNTS}/{ACCOUNT}", by=settings).result
    refused = [
        ask(api, "GET", f"{ACCOUNTS}/{ACCOUNT}", by=made(api, USER_TOKENS)["value"]),
        ask(api, "GET", f"{ACCOUNTS}/{OTHER_ACCOUNT}"),
        ask(api, "GET", f"{ACCOUNTS}/{'e' * 32}"),
    ]
    assert {(403, b"".join(refused[0].body.split()))} == {
        (answer.status, b"".join(answer.body.split())) for answer in refused
    }
    assert [10000] == refused[0].codes
    assert (404, [7003, 7000]) == ask(api, "GET", f"{ACCOUNTS}/").refusal


def test_accounts_are_paged(own_api: Api) -> None:
    """Accounts are listed in order of creation, at most 50 a page; the page past the end is empty."""
    api = own_api
    user_id = ask(api, "GET", USER).result["id"]
    ids = [f"{number:032x}" for number in range(60)]
    for number, account_id in enumerate(ids):
        membership = Membership(account_id, user_id, policies_for(account_id, ALL_ACCESS), number)
        keep(api, Account(account_id, f"account {number}", number), membership)

    for base in (ACCOUNTS, MEMBERSHIPS):
        pages = [ask(api, "GET", f"{base}?page={page}&per_page=500") for page in (1, 2, 3)]
        assert [50, 11, 0] == [len(page.result) for page in pages]
        info = {"page": 3, "per_page": 50, "count": 0, "total_count": 61, "total_pages": 2}
        assert info == pages[-1].envelope["result_info"]
        seen = [item.get("account", item)["id"] for page in pages for item in page.result]
        assert {ACCOUNT, *ids} == set(seen)
        assert len(ask(api, "GET", base).result) == 20
        assert seen[::-1][:20] == [
            item.get("account", item)["id"] for item in ask(api, "GET", f"{base}?direction=desc").result
        ]


def test_memberships_show_their_roles(api: Api, user_id: str) -> None:
    """A user's accounts are listed with the names of the permission groups there."""
    [membership] = ask(api, "GET", MEMBERSHIPS).result
    reader = made(api, USER_TOKENS, policy(group("Memberships Read"), resource=USER_RESOURCE + user_id))

    assert [membership] == ask(api, "GET", MEMBERSHIPS, by=reader["value"]).result
    assert ask(api, "GET", ACCOUNTS).result == [membership["account"]]
    assert (["Nightsafe All Access"], "accepted") == (membership["roles"], membership["status"])
    assert len(membership["id"]) == 32
    assert [membership] == ask(api, "GET", MEMBERSHIPS + "?account.name=an%20account&status=accepted").result
    assert ask(api, "GET", MEMBERSHIPS + "?name=another").result == []
    assert ask(api, "GET", MEMBERSHIPS + "?status=pending").result == []


def test_memberships_are_refused_with_wranglers_codes(api: Api) -> None:
    """A token of an account and an unknown one get 9106, and a user's token without the permission 10000.

    With these codes wrangler asks for the accounts instead.
    """
    of_account = made(api, ACCOUNT_TOKENS, policy(ALL_ACCESS))["value"]
    for value in (of_account, "nst_unknown"):
        answer = ask(api, "GET", MEMBERSHIPS, by=value)
        assert ((400, [9106]), ["Authentication failed (status: 400)"]) == (answer.refusal, answer.messages)
    assert (403, [10000]) == ask(api, "GET", MEMBERSHIPS, by=made(api, USER_TOKENS)["value"]).refusal


@pytest.mark.parametrize("path", [USER, ACCOUNTS, MEMBERSHIPS, USER_TOKENS, f"{USER_TOKENS}/verify"])
def test_user_pages_need_credentials(api: Api, path: str) -> None:
    """Requests without credentials get 400 / 9106, and other methods 405."""
    assert (400, [9106]) == api.send("GET", path, anonymous=True).refusal
    assert (405, [10405]) == api.send("PATCH", path).refusal
    assert ask(api, "GET", path + "/").status in {400, 404}
