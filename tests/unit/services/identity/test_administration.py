"""Accounts, users and tokens that an operator makes on the machine, and their log entries."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.stores import open_store

from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.conditions import Condition, RequestIp
from nightsafe.identity.credentials import has_valid_checksum
from nightsafe.identity.permissions import ALL_ACCESS, Action
from nightsafe.identity.policy import ACCOUNT_RESOURCE, Resource, allow_policy
from nightsafe.identity.service import Authenticator, Principal, may
from nightsafe.services.identity.administration import create_account, create_user, issue_token
from nightsafe.store.sqlite import SqliteStore

ACCOUNT, OTHER = "a" * 32, "b" * 32
EVERYTHING = set(Action) - {Action.DELIVER, Action.RESEAL}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """Yield a new store."""
    store = open_store(tmp_path / "safe" / "store.db")
    yield store
    await store.close()


def allowed(principal: Principal, resource: Resource) -> set[Action]:
    """Return the actions that a principal may do to a resource."""
    return {action for action in Action if may(principal, action, resource)}


async def test_an_owner_may_do_everything_but_delivery(store: SqliteStore) -> None:
    """An owner's token and key allow everything in the account and for the user except delivery and resealing."""
    made = await create_account(store, ACCOUNT, "Home", "owner@example.com")
    authenticator = Authenticator(store)
    principals = [
        await authenticator.by_token(made.api_token.encode()),
        await authenticator.by_key(made.email, made.api_key.encode()),
    ]

    for principal in principals:
        assert EVERYTHING == allowed(principal, Resource(ACCOUNT)) == allowed(principal, Resource(ACCOUNT, "x"))
        assert EVERYTHING == allowed(principal, principal.user())
        assert set() == allowed(principal, Resource(OTHER)) == allowed(principal, Resource(user_id="c" * 32))
    assert ["token", "key"] == [principal.kind for principal in principals]


async def test_a_user_may_own_two_accounts(store: SqliteStore) -> None:
    """The second account adds no user and no key; the first key is valid for both accounts."""
    first = await create_account(store, ACCOUNT, "Home", "owner@example.com")
    second = await create_account(store, OTHER, "Other", "OWNER@example.com")
    principal = await Authenticator(store).by_key(first.email, first.api_key.encode())

    assert ("", first.email) == (second.api_key, second.email)
    assert {ACCOUNT, OTHER} == principal.grants.accounts()
    assert {OTHER} == (await Authenticator(store).by_token(second.api_token.encode())).grants.accounts()


@pytest.mark.parametrize("with_service_key", [False, True])
async def test_a_user_without_an_account_has_only_their_own_rights(
    store: SqliteStore, *, with_service_key: bool
) -> None:
    """A user without an account may do everything to the own user only; the service key is made on request."""
    made = await create_user(store, "one@example.com", with_service_key=with_service_key)
    authenticator = Authenticator(store)
    principals = [await authenticator.by_key(made.email, made.api_key.encode())]
    if with_service_key:
        principals.append(await authenticator.by_service_key(made.service_key.encode()))

    assert bool(made.service_key) is with_service_key
    for principal in principals:
        assert (made.user_id, set()) == (principal.user_id, principal.grants.accounts())
        assert EVERYTHING == allowed(principal, Resource(user_id=made.user_id))
    with pytest.raises(NightsafeError) as refused:
        await create_user(store, "ONE@example.com")
    assert Code.INVALID == refused.value.code


async def test_a_token_has_exactly_its_issued_attributes(store: SqliteStore) -> None:
    """A token has exactly the policies, condition, times and owner that it was issued with."""
    policy = allow_policy(ACCOUNT_RESOURCE + ACCOUNT, ALL_ACCESS, scripts=["billing-*"])
    condition = Condition(request_ip=RequestIp(("192.0.2.0/24",)))
    issued = await issue_token(
        store, ACCOUNT, "c" * 32, "narrow", policies=[policy], condition=condition, not_before=1, expires_on=2**52,
        owner="account",
    )  # fmt: skip
    principal = await Authenticator(store).by_token(issued.token.encode())

    assert ("account_token", issued.id, ACCOUNT) == (principal.kind, principal.id, principal.account_id)
    assert (1, 2**52) == (principal.not_before, principal.expires_on)
    assert [True, False] == [principal.may_come_from(address) for address in ("192.0.2.1", "10.0.0.1")]
    assert EVERYTHING == allowed(principal, Resource(ACCOUNT, "billing-eu"))
    assert set() == allowed(principal, Resource(ACCOUNT)) == allowed(principal, Resource(ACCOUNT, "web"))

    wide = await issue_token(store, ACCOUNT, "c" * 32, "wide")
    plain = await Authenticator(store).by_token(wide.token.encode())
    assert ("token", 0, None, None) == (plain.kind, plain.not_before, plain.expires_on, plain.networks)
    assert EVERYTHING == allowed(plain, Resource(ACCOUNT))


async def test_policies_that_grant_nothing_are_refused(store: SqliteStore) -> None:
    """A policy with an unknown group or resource is refused, so that no useless token is made."""
    for policy in (allow_policy(ACCOUNT_RESOURCE + ACCOUNT, "0" * 32), allow_policy("account", ALL_ACCESS)):
        with pytest.raises(NightsafeError) as refused:
            await issue_token(store, ACCOUNT, "c" * 32, "x", policies=[policy])
        assert Code.INVALID == refused.value.code
    assert [] == await store.tokens_of_user("c" * 32)


async def test_each_creation_is_logged_without_credentials(store: SqliteStore) -> None:
    """Each creation has a log entry, and no entry and no `repr` contains a credential."""
    account = await create_account(store, ACCOUNT, "Home", "owner@example.com")
    user = await create_user(store, "one@example.com", with_service_key=True)
    token = await issue_token(store, ACCOUNT, user.user_id, "x")
    entries = [entry for account_id in (ACCOUNT, "") for _, entry in await store.audit_entries(account_id)]
    events = [json.loads(entry.entry) for entry in entries]

    assert [("accounts.create", ACCOUNT), ("tokens.create", token.id), ("users.create", user.user_id)] == [
        (event["action"], event["resource"]) for event in events
    ]
    assert {"operator"} == {event["actor_kind"] for event in events}
    shown = repr((account, user, token, events))
    for secret in (account.api_token, account.api_key, user.api_key, user.service_key, token.token):
        assert has_valid_checksum(secret)
        assert secret not in shown
