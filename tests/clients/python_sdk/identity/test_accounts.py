"""`client.user`, `client.accounts` and `client.memberships` of the official Python SDK."""

import pytest
from cloudflare import BadRequestError, Cloudflare, PermissionDeniedError
from tests.clients.python_sdk.tools.owner import READ, owner_of, policy
from tests.clients.python_sdk.tools.settling import gathered, settled
from tests.server import ACCOUNT, Server


def test_user_accounts_and_memberships_are_the_owners(server: Server) -> None:
    """The SDK returns the owner, their account and their membership in it."""
    with owner_of(server) as client:
        user = client.user.get()
        accounts = [found for found in client.accounts.list() if found.id == ACCOUNT]
        memberships = [found for found in client.memberships.list() if found.account and found.account.id == ACCOUNT]
        account = client.accounts.get(account_id=ACCOUNT)

    assert user is not None
    assert account is not None
    assert user.email == server.safe.email
    assert [(account.id, account.name, "standard")] == [(found.id, found.name, found.type) for found in accounts]
    assert ["accepted"] == [found.status for found in memberships]
    assert account.created_on is not None


async def test_accounts_are_listed_once_in_any_page_size(server: Server) -> None:
    """With any page size each account is listed once."""
    with owner_of(server) as client:
        for size in (1, 50, 500):
            ids = [account.id for account in await gathered(await settled(client.accounts.list(per_page=size)))]
            assert ACCOUNT in ids
            assert len(ids) == len(set(ids))
        assert client.accounts.list(page=1000).result == []
        assert client.memberships.list(page=1000).result == []


def test_another_account_is_denied(server: Server) -> None:
    """Another account gives 403 with 10000, whether it exists or not."""
    with owner_of(server) as client, pytest.raises(PermissionDeniedError) as raised:
        client.accounts.get(account_id="0" * 32)
    assert [error.code for error in raised.value.errors] == [10000]


def test_an_accounts_token_cannot_read_a_user(server: Server) -> None:
    """An account's token gets 9109 for the user and 9106 for the memberships, but can list its account."""
    with owner_of(server) as client:
        made = client.accounts.tokens.create(account_id=ACCOUNT, name="ci", policies=[policy(READ)])
    assert made is not None
    with Cloudflare(api_token=made.value, base_url=server.base_url) as client:
        with pytest.raises(PermissionDeniedError) as denied:
            client.user.get()
        with pytest.raises(BadRequestError) as failed:
            client.memberships.list()
        assert [ACCOUNT] == [account.id for account in client.accounts.list()]
    assert [error.code for error in denied.value.errors + failed.value.errors] == [9109, 9106]
