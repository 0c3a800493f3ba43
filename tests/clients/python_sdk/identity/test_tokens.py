"""`client.user.tokens.*` and `client.accounts.tokens.*` of the official Python SDK, blocking and asynchronous."""

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
OWNERS = pytest.mark.parametrize("of", ["user", "accounts"])


@pytest.fixture(params=["sync", "async"])
async def owner(request: pytest.FixtureRequest, server: Server) -> AsyncIterator[Any]:
    """The owner's client, each kind in turn."""
    if request.param == "sync":
        with owner_of(server) as made:
            yield made
        return
    async with async_owner_of(server) as made_async:
        yield made_async


def place(of: str) -> dict[str, Any]:
    """The argument that says whose tokens are meant."""
    return {"account_id": ACCOUNT} if of == "accounts" else {}


def verify(server: Server, of: str, value: str) -> Any:
    """What a token is told of itself."""
    with Cloudflare(api_token=value, base_url=server.base_url) as client:
        return getattr(client, of).tokens.verify(**place(of))


def is_dead(server: Server, of: str, value: str) -> bool:
    """Whether a token is told that it is none."""
    with pytest.raises(AuthenticationError) as raised:
        verify(server, of, value)
    return [(1000, "Invalid API Token")] == [(error.code, error.message) for error in raised.value.errors]


@OWNERS
async def test_the_life_of_a_token(server: Server, owner: Any, of: str) -> None:
    """Made, found, verified, changed, rolled, deleted: each as the SDK has it, with what was asked for."""
    tokens, where = getattr(owner, of).tokens, place(of)
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
    assert made.id in [one.id for one in await gathered(await settled(tokens.list(**where)))]
    assert (made.id, "active", EXPIRES_ON) == tuple(
        getattr(verify(server, of, made.value), name) for name in ("id", "status", "expires_on")
    )

    changed = await settled(tokens.update(made.id, status="disabled", **wanted))
    assert ("disabled", None, None) == (changed.status, changed.expires_on, changed.condition)
    assert is_dead(server, of, made.value)
    await settled(tokens.update(made.id, status="active", **wanted))
    rolled = await settled(tokens.value.update(made.id, **where))
    assert is_dead(server, of, made.value)
    assert verify(server, of, rolled).id == made.id

    assert (await settled(tokens.delete(made.id, **where))).id == made.id
    assert is_dead(server, of, rolled)
    with pytest.raises(NotFoundError) as raised:
        await settled(tokens.get(made.id, **where))
    assert [error.code for error in raised.value.errors] == [1003]


@OWNERS
async def test_lists_are_followed_to_their_end(owner: Any, of: str) -> None:
    """The SDK asks for pages until one is empty."""
    tokens, where = getattr(owner, of).tokens, place(of)
    ids = [(await settled(tokens.create(name="one", policies=[policy(READ)], **where))).id for _ in range(3)]
    listed = [one.id for one in await gathered(await settled(tokens.list(per_page=2, **where)))]

    assert ids == [one for one in listed if one in ids]
    assert len(listed) == len(set(listed))


@OWNERS
async def test_permission_groups(owner: Any, of: str) -> None:
    """By name and scope, as those look them up who make tokens."""
    groups, where = getattr(owner, of).tokens.permission_groups, place(of)
    asked = {"name": "Workers Scripts Read", "scope": "com.cloudflare.api.account"} | where

    assert [READ] == [one.id for one in await gathered(await settled(groups.list(**asked)))]
    assert SECRETS_WRITE in [one.id for one in await gathered(await settled(groups.list(**where)))]
    if of == "accounts":
        assert [READ] == [one.id for one in await settled(groups.get(**asked))]


def test_a_token_for_the_secrets_of_some_scripts(server: Server) -> None:
    """It sets the secrets of billing-* and nothing else; nor does it get or give more."""
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


def test_what_is_wrong_is_pointed_at(server: Server) -> None:
    """A pointer into the body; a time without its offset is refused rather than guessed."""
    with owner_of(server) as client:
        for wrong, pointer in (
            ({"policies": [policy("0" * 32)]}, "/policies/0/permission_groups/0/id"),
            ({"condition": {"request_ip": {"in": ["everywhere"]}}}, "/condition/request_ip/in/0"),
            ({"expires_on": dt.datetime(2099, 1, 1)}, "/expires_on"),  # noqa: DTZ001 - it is what is refused
        ):
            with pytest.raises(BadRequestError) as raised:
                client.user.tokens.create(**({"name": "ci", "policies": [policy(READ)]} | wrong))
            [error] = raised.value.errors
            assert error.source is not None
            assert (10021, pointer) == (error.code, error.source.pointer)


def test_nobody_gives_more_than_they_have(server: Server) -> None:
    """Not even the owner gives an account that is not theirs: 403 with 9109."""
    with owner_of(server) as client, pytest.raises(PermissionDeniedError) as raised:
        client.user.tokens.create(name="more", policies=[policy(READ, account_id="0" * 32)])
    assert [error.code for error in raised.value.errors] == [9109]
