"""`client.user.tokens.*` and `client.accounts.tokens.*` of the official Python SDK, synchronous and asynchronous."""

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import pytest
from cloudflare import AuthenticationError, BadRequestError, Cloudflare, NotFoundError, PermissionDeniedError
from tests.clients.python_sdk.tools.owner import READ, async_owner_of, owner_of, policy
from tests.clients.python_sdk.tools.settling import gathered, settled
from tests.server import ACCOUNT, Server

from nightsafe.identity.credentials import has_valid_checksum

SECRETS_WRITE = "6e6967687473616665207365637265c1"
NOT_BEFORE = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
EXPIRES_ON = dt.datetime(2099, 12, 31, 23, 59, 59, 500_000, tzinfo=dt.timezone(dt.timedelta(hours=2)))
OWNERS = pytest.mark.parametrize("base", ["user", "accounts"])


@pytest.fixture(params=["sync", "async"])
async def owner(request: pytest.FixtureRequest, server: Server) -> AsyncIterator[Any]:
    """Yield the owner's client, of each kind in turn."""
    if request.param == "sync":
        with owner_of(server) as made:
            yield made
        return
    async with async_owner_of(server) as made_async:
        yield made_async


def place(base: str) -> dict[str, Any]:
    """Return the argument that selects the owner of the tokens."""
    return {"account_id": ACCOUNT} if base == "accounts" else {}


def verify(server: Server, base: str, value: str) -> Any:
    """Return a token's own verification."""
    with Cloudflare(api_token=value, base_url=server.base_url) as client:
        return getattr(client, base).tokens.verify(**place(base))


def is_refused(server: Server, base: str, value: str) -> bool:
    """Return True if a token's verification is refused."""
    with pytest.raises(AuthenticationError) as raised:
        verify(server, base, value)
    return [(1000, "Invalid API Token")] == [(error.code, error.message) for error in raised.value.errors]


@OWNERS
async def test_a_token_is_created_verified_rolled_and_deleted(server: Server, owner: Any, base: str) -> None:
    """A token is created, read, verified, changed, rolled and deleted as the SDK expects."""
    tokens, where = getattr(owner, base).tokens, place(base)
    wanted = {"name": "ci", "policies": [policy(READ, scripts="billing-*")], **where}
    made = await settled(
        tokens.create(
            condition={"request_ip": {"in": ["127.0.0.0/8"], "not_in": ["198.51.100.0/24"]}},
            not_before=NOT_BEFORE, expires_on=EXPIRES_ON, **wanted,
        )
    )  # fmt: skip

    assert has_valid_checksum(made.value)
    assert ("ci", "active", NOT_BEFORE, EXPIRES_ON) == (made.name, made.status, made.not_before, made.expires_on)
    assert (["127.0.0.0/8"], ["198.51.100.0/24"]) == (made.condition.request_ip.in_, made.condition.request_ip.not_in)
    assert wanted["policies"][0]["resources"] == made.policies[0].resources
    assert made.policies[0].permission_groups[0].name == "Workers Scripts Read"
    found = await settled(tokens.get(made.id, **where))
    assert made.to_dict() == found.to_dict() | {"value": made.value}
    assert made.id in [token.id for token in await gathered(await settled(tokens.list(**where)))]
    assert (made.id, "active", EXPIRES_ON) == tuple(
        getattr(verify(server, base, made.value), name) for name in ("id", "status", "expires_on")
    )

    changed = await settled(tokens.update(made.id, status="disabled", **wanted))
    assert ("disabled", None, None) == (changed.status, changed.expires_on, changed.condition)
    assert is_refused(server, base, made.value)
    await settled(tokens.update(made.id, status="active", **wanted))
    rolled = await settled(tokens.value.update(made.id, **where))
    assert is_refused(server, base, made.value)
    assert verify(server, base, rolled).id == made.id

    assert (await settled(tokens.delete(made.id, **where))).id == made.id
    assert is_refused(server, base, rolled)
    with pytest.raises(NotFoundError) as raised:
        await settled(tokens.get(made.id, **where))
    assert [error.code for error in raised.value.errors] == [1003]


@OWNERS
async def test_tokens_are_listed_once_in_small_pages(owner: Any, base: str) -> None:
    """The SDK reads pages until one is empty."""
    tokens, where = getattr(owner, base).tokens, place(base)
    ids = [(await settled(tokens.create(name="one", policies=[policy(READ)], **where))).id for _ in range(3)]
    listed = [token.id for token in await gathered(await settled(tokens.list(per_page=2, **where)))]

    assert ids == [token_id for token_id in listed if token_id in ids]
    assert len(listed) == len(set(listed))


@OWNERS
async def test_permission_groups_are_found_by_name_and_scope(owner: Any, base: str) -> None:
    """Permission groups can be looked up by name and scope."""
    groups, where = getattr(owner, base).tokens.permission_groups, place(base)
    asked = {"name": "Workers Scripts Read", "scope": "com.cloudflare.api.account"} | where

    assert [READ] == [group.id for group in await gathered(await settled(groups.list(**asked)))]
    assert SECRETS_WRITE in [group.id for group in await gathered(await settled(groups.list(**where)))]
    if base == "accounts":
        assert [READ] == [group.id for group in await settled(groups.get(**asked))]


def test_a_token_can_be_limited_to_the_secrets_of_scripts(server: Server) -> None:
    """The token can set secrets of billing-* and nothing else, and cannot get or grant more."""
    with owner_of(server) as client:
        granted = [policy(SECRETS_WRITE, scripts="billing-*")]
        made = client.accounts.tokens.create(account_id=ACCOUNT, name="billing", policies=granted)
    assert made is not None
    with Cloudflare(api_token=made.value, base_url=server.base_url) as client:
        secrets: Any = client.workers.scripts.secrets
        with pytest.raises(NotFoundError):
            secrets.update("billing-eu", account_id=ACCOUNT, name="A", text="x", type="secret_text")
        for refused in (
            lambda: secrets.update("shop", account_id=ACCOUNT, name="A", text="x", type="secret_text"),
            lambda: client.workers.scripts.get("billing-eu", account_id=ACCOUNT),
            lambda: client.accounts.tokens.list(account_id=ACCOUNT),
            lambda: client.accounts.tokens.create(account_id=ACCOUNT, name="more", policies=granted),
        ):
            with pytest.raises(PermissionDeniedError) as raised:
                refused()
            assert [error.code for error in raised.value.errors] == [10000]


def test_an_invalid_token_gives_a_pointer(server: Server) -> None:
    """The error has a pointer into the body; a time without an offset is refused."""
    with owner_of(server) as client:
        for wrong, pointer in (
            ({"policies": [policy("0" * 32)]}, "/policies/0/permission_groups/0/id"),
            ({"condition": {"request_ip": {"in": ["everywhere"]}}}, "/condition/request_ip/in/0"),
            ({"expires_on": dt.datetime(2099, 1, 1)}, "/expires_on"),  # noqa: DTZ001 - the case under test
        ):
            with pytest.raises(BadRequestError) as raised:
                client.user.tokens.create(**({"name": "ci", "policies": [policy(READ)]} | wrong))
            [error] = raised.value.errors
            assert error.source is not None
            assert (10021, pointer) == (error.code, error.source.pointer)


def test_a_token_cannot_grant_another_account(server: Server) -> None:
    """Even the owner cannot grant access to another account: 403 with 9109."""
    with owner_of(server) as client, pytest.raises(PermissionDeniedError) as raised:
        client.user.tokens.create(name="more", policies=[policy(READ, account_id="0" * 32)])
    assert [error.code for error in raised.value.errors] == [9109]
