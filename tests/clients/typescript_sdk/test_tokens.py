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
    """Status and codes of a call that must fail."""
    with pytest.raises(Refused) as raised:
        typescript.call(path, *args, **options)
    return raised.value.status, raised.value.codes


@OWNERS
def test_the_life_of_a_token(typescript: TypeScript, base: str, owner: dict[str, str]) -> None:
    """Made, found, verified, changed, rolled, deleted: each as the SDK has it, with what was asked for."""
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
def test_lists_are_followed_to_their_end(typescript: TypeScript, base: str, owner: dict[str, str]) -> None:
    """The SDK asks for pages until one is empty."""
    ids = [typescript.call(f"{base}.tokens.create", WANTED | owner)["id"] for _ in range(3)]
    listed = [one["id"] for one in typescript.call(f"{base}.tokens.list", owner | {"per_page": 2})]
    assert ids == [one for one in listed if one in ids]
    assert len(listed) == len(set(listed))


@OWNERS
def test_permission_groups(typescript: TypeScript, base: str, owner: dict[str, str]) -> None:
    """By name, as those look them up who make tokens."""
    asked = owner | {"name": "Workers Scripts Read"}
    assert [SCRIPTS_READ] == [one["id"] for one in typescript.call(f"{base}.tokens.permissionGroups.list", asked)]
    if owner:
        assert typescript.call("accounts.tokens.permissionGroups.get", asked)[0]["id"] == SCRIPTS_READ


def test_what_is_wrong(typescript: TypeScript) -> None:
    """A bad policy is 400, a token without rights 403 and 9109, an unknown one too."""
    assert (400, [10021]) == refused(typescript, "user.tokens.create", WANTED | {"policies": []})
    weak = typescript.call("user.tokens.create", WANTED)["value"]
    assert (403, [9109]) == refused(typescript, "user.tokens.create", WANTED, apiToken=weak)
    assert (403, [10000]) == refused(
        typescript, "accounts.tokens.create", WANTED | {"account_id": ACCOUNT}, apiToken=weak
    )
    assert (401, [1000]) == refused(typescript, "user.tokens.verify", apiToken="nst_unknown")
    assert (403, [9109]) == refused(typescript, "user.tokens.list", apiToken="nst_unknown")


def test_who_am_i(typescript: TypeScript, server: Server) -> None:
    """The user, their accounts and memberships."""
    assert typescript.call("user.get")["email"] == server.safe.email
    [account] = [one for one in typescript.call("accounts.list") if one["id"] == ACCOUNT]
    assert account == typescript.call("accounts.get", {"account_id": ACCOUNT})
    assert account in [one["account"] for one in typescript.call("memberships.list")]
    assert (403, [10000]) == refused(typescript, "accounts.get", {"account_id": "0" * 32})


def test_everything_sent_at_once(typescript: TypeScript, server: Server) -> None:
    """The SDK sends every credential it has; the token is the one that counts."""
    safe = server.safe
    value = typescript.call("user.tokens.create", WANTED)["value"]
    every = {"apiToken": value, "apiEmail": safe.email, "apiKey": safe.api_key, "userServiceKey": "v1.0-x"}
    assert typescript.call("user.tokens.verify", **every)["status"] == "active"
    assert (403, [9109]) == refused(typescript, "user.get", **every)
