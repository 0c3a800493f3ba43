"""`client.user.tokens.*` and `client.accounts.tokens.*` of the official TypeScript SDK."""

from typing import Any

import pytest
from tests.clients.node.tools import Refused, TypeScript
from tests.server import ACCOUNT, Server

from nightsafe.identity.credentials import has_valid_checksum

SCRIPTS_READ = "1a71c399035b4950a1bd1466bbe4f420"
WANTED: dict[str, Any] = {
    "name": "ci",
    "policies": [
        {
            "effect": "allow",
            "permission_groups": [{"id": SCRIPTS_READ}],
            "resources": {f"com.cloudflare.api.account.{ACCOUNT}": {"com.nightsafe.script.billing-*": "*"}},
        }
    ],
    "condition": {"request_ip": {"in": ["127.0.0.0/8"], "not_in": ["198.51.100.0/24"]}},
    "not_before": "2020-01-01T00:00:00Z",
    "expires_on": "2099-12-31T23:59:59Z",
}
OWNERS = pytest.mark.parametrize(("base", "owner"), [("user", {}), ("accounts", {"account_id": ACCOUNT})])


def refused(typescript: TypeScript, path: str, *args: object, **options: object) -> tuple[int | None, list[int]]:
    """Return the status and the codes of a call that must fail."""
    with pytest.raises(Refused) as raised:
        typescript.call(path, *args, **options)
    return raised.value.status, raised.value.codes


@OWNERS
def test_a_token_is_created_verified_rolled_and_deleted(
    typescript: TypeScript, base: str, owner: dict[str, str]
) -> None:
    """A token is created, read, verified, changed, rolled and deleted as the SDK expects."""
    tokens = f"{base}.tokens"
    made = typescript.call(f"{tokens}.create", WANTED | owner)
    value, token_id = made.pop("value"), made["id"]
    assert has_valid_checksum(value)
    assert {name: made[name] for name in ("name", "condition", "not_before", "expires_on")} == {
        name: WANTED[name] for name in ("name", "condition", "not_before", "expires_on")
    }
    assert made == typescript.call(f"{tokens}.get", token_id, *[owner] * bool(owner))
    assert made in typescript.call(f"{tokens}.list", owner | {"per_page": 50})

    verified = typescript.call(f"{tokens}.verify", *[owner] * bool(owner), apiToken=value)
    assert (token_id, "active", WANTED["expires_on"]) == (verified["id"], verified["status"], verified["expires_on"])
    other = f"{'accounts' if base == 'user' else 'user'}.tokens.verify"
    assert (401, [1000]) == refused(typescript, other, *[{"account_id": ACCOUNT}] * (base == "user"), apiToken=value)

    changed = typescript.call(f"{tokens}.update", token_id, WANTED | owner | {"name": "new", "status": "disabled"})
    assert ("new", "disabled") == (changed["name"], changed["status"])
    assert (401, [1000]) == refused(typescript, f"{tokens}.verify", *[owner] * bool(owner), apiToken=value)
    typescript.call(f"{tokens}.update", token_id, WANTED | owner | {"status": "active"})

    rolled = typescript.call(f"{tokens}.value.update", token_id, owner | {"body": {}})
    assert rolled != value
    assert (401, [1000]) == refused(typescript, f"{tokens}.verify", *[owner] * bool(owner), apiToken=value)
    assert typescript.call(f"{tokens}.verify", *[owner] * bool(owner), apiToken=rolled)["id"] == token_id

    assert typescript.call(f"{tokens}.delete", token_id, *[owner] * bool(owner)) == {"id": token_id}
    assert (401, [1000]) == refused(typescript, f"{tokens}.verify", *[owner] * bool(owner), apiToken=rolled)
    assert (404, [1003]) == refused(typescript, f"{tokens}.get", token_id, *[owner] * bool(owner))


@OWNERS
def test_tokens_are_listed_once_in_small_pages(typescript: TypeScript, base: str, owner: dict[str, str]) -> None:
    """The SDK reads pages until one is empty."""
    ids = [typescript.call(f"{base}.tokens.create", WANTED | owner)["id"] for _ in range(3)]
    listed = [token["id"] for token in typescript.call(f"{base}.tokens.list", owner | {"per_page": 2})]
    assert ids == [token_id for token_id in listed if token_id in ids]
    assert len(listed) == len(set(listed))


@OWNERS
def test_permission_groups_are_found_by_name(typescript: TypeScript, base: str, owner: dict[str, str]) -> None:
    """Permission groups can be looked up by name."""
    asked = owner | {"name": "Workers Scripts Read"}
    assert [SCRIPTS_READ] == [group["id"] for group in typescript.call(f"{base}.tokens.permissionGroups.list", asked)]
    if owner:
        assert typescript.call("accounts.tokens.permissionGroups.get", asked)[0]["id"] == SCRIPTS_READ


def test_refusals_of_tokens_have_codes(typescript: TypeScript) -> None:
    """An invalid policy gives 400; a token without permission, or an unknown one, gives 403 with 9109."""
    assert (400, [10021]) == refused(typescript, "user.tokens.create", WANTED | {"policies": []})
    weak = typescript.call("user.tokens.create", WANTED)["value"]
    assert (403, [9109]) == refused(typescript, "user.tokens.create", WANTED, apiToken=weak)
    assert (403, [10000]) == refused(
        typescript, "accounts.tokens.create", WANTED | {"account_id": ACCOUNT}, apiToken=weak
    )
    assert (401, [1000]) == refused(typescript, "user.tokens.verify", apiToken="nst_unknown")
    assert (403, [9109]) == refused(typescript, "user.tokens.list", apiToken="nst_unknown")


def test_user_accounts_and_memberships_are_the_owners(typescript: TypeScript, server: Server) -> None:
    """The SDK returns the user, their accounts and memberships."""
    assert typescript.call("user.get")["email"] == server.safe.email
    [account] = [found for found in typescript.call("accounts.list") if found["id"] == ACCOUNT]
    assert account == typescript.call("accounts.get", {"account_id": ACCOUNT})
    assert account in [membership["account"] for membership in typescript.call("memberships.list")]
    assert (403, [10000]) == refused(typescript, "accounts.get", {"account_id": "0" * 32})


def test_a_token_takes_precedence_over_other_credentials(typescript: TypeScript, server: Server) -> None:
    """The SDK sends all credentials that it has, and the token takes precedence."""
    safe = server.safe
    value = typescript.call("user.tokens.create", WANTED)["value"]
    all_credentials = {"apiToken": value, "apiEmail": safe.email, "apiKey": safe.api_key, "userServiceKey": "v1.0-x"}
    assert typescript.call("user.tokens.verify", **all_credentials)["status"] == "active"
    assert (403, [9109]) == refused(typescript, "user.get", **all_credentials)
