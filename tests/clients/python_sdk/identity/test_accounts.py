"""`client.user`, `client.accounts` and `client.memberships` of the official Python SDK."""

import pytest
from cloudflare import BadRequestError, Cloudflare, PermissionDeniedError
from tests.clients.python_sdk.tools.owner import READ, owner_of, policy
from tests.clients.python_sdk.tools.settling import gathered, settled
from tests.server import ACCOUNT, Server


def test_who_am_i(server: Server) -> None:
    """The owner, their account and their membership in it."""
    with owner_of(server) as client:
        user = client.user.get()
        accounts = [account for account in client.accounts.list() if account.id == ACCOUNT]
        memberships = [one for one in client.memberships.list() if one.account and one.account.id == ACCOUNT]
        one = client.accounts.get(account_id=ACCOUNT)

    assert user is not None
    assert one is not None
    assert user.email == server.safe.email
    assert [(one.id, one.name, "standard")] == [(found.id, found.name, found.type) for found in accounts]
    assert ["accepted"] == [found.status for found in memberships]
    assert one.created_on is not None


async def test_lists_end(server: Server) -> None:
    """Whatever size of a page is asked for, each account comes once."""
    with owner_of(server) as client:
        for size in (1, 50, 500):
            ids = [one.id for one in await gathered(await settled(client.accounts.list(per_page=size)))]
            assert ACCOUNT in ids
            assert len(ids) == len(set(ids))
        assert client.accounts.list(page=1000).result == []
        assert client.memberships.list(page=1000).result == []


def test_an_account_that_is_not_theirs(server: Server) -> None:
    """403 with 10000, whether it is there or not."""
    with owner_of(server) as client, pytest.raises(PermissionDeniedError) as raised:
        client.accounts.get(account_id="0" * 32)
    assert [error.code for error in raised.value.errors] == [10000]


def test_a_token_of_an_account_is_no_user(server: Server) -> None:
    """9109 for the user, 9106 for the memberships; its account it sees."""
    with owner_of(server) as client:
        made = client.accounts.tokens.create(account_id=ACCOUNT, name="ci", policies=[policy(READ)])
    assert made is not None
    with Cloudflare(api_token=made.value, base_url=server.base_url) as client:
        with pytest.raises(PermissionDeniedError) as denied:
            client.user.get()
        with pytest.raises(BadRequestError) as failed:
            client.memberships.list()
        assert [ACCOUNT] == [one.id for one in client.accounts.list()]
    assert [error.code for error in denied.value.errors + failed.value.errors] == [9109, 9106]
