"""What an operator makes at the machine: accounts, users and tokens, each with its log entry."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.conditions import Condition, RequestIp
from nightsafe.identity.credentials import has_valid_checksum
from nightsafe.identity.permissions import ALL_ACCESS, Action
from nightsafe.identity.policy import ACCOUNT_RESOURCE, Resource, allowing
from nightsafe.identity.service import Authenticator, Principal, may
from nightsafe.services.identity.administration import create_account, create_user, issue_token
from nightsafe.store.sqlite import SqliteStore

ACCOUNT, OTHER = "a" * 32, "b" * 32
EVERYTHING = set(Action) - {Action.DELIVER, Action.RESEAL}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """A new store."""
    store = SqliteStore.open(tmp_path / "safe" / "store.db", create=True)
    yield store
    await store.close()


def allowed(principal: Principal, resource: Resource) -> set[Action]:
    """What it may do to a resource."""
    return {action for action in Action if may(principal, action, resource)}


async def test_an_owner_may_do_all(store: SqliteStore) -> None:
    """By token and by key: everything in the account and about themselves but delivery, and nothing elsewhere."""
    made = await create_account(store, ACCOUNT, "Home", "owner@example.com")
    asked = Authenticator(store)
    principals = [
        await asked.by_token(made.api_token.encode()),
        await asked.by_key(made.email, made.api_key.encode()),
    ]

    for principal in principals:
        assert EVERYTHING == allowed(principal, Resource(ACCOUNT)) == allowed(principal, Resource(ACCOUNT, "x"))
        assert EVERYTHING == allowed(principal, principal.user())
        assert set() == allowed(principal, Resource(OTHER)) == allowed(principal, Resource(user_id="c" * 32))
    assert ["token", "key"] == [principal.kind for principal in principals]


async def test_a_user_may_own_two_accounts(store: SqliteStore) -> None:
    """The second one brings no second user and no second key; the first key is good for both."""
    first = await create_account(store, ACCOUNT, "Home", "owner@example.com")
    second = await create_account(store, OTHER, "Other", "OWNER@example.com")
    principal = await Authenticator(store).by_key(first.email, first.api_key.encode())

    assert ("", first.email) == (second.api_key, second.email)
    assert {ACCOUNT, OTHER} == principal.grants.accounts()
    assert {OTHER} == (await Authenticator(store).by_token(second.api_token.encode())).grants.accounts()


@pytest.mark.parametrize("with_service_key", [False, True])
async def test_a_user_without_an_account(store: SqliteStore, *, with_service_key: bool) -> None:
    """May do all about themselves and nothing else, by either key; the service key is made only when asked for."""
    made = await create_user(store, "one@example.com", with_service_key=with_service_key)
    asked = Authenticator(store)
    principals = [await asked.by_key(made.email, made.api_key.encode())]
    if with_service_key:
        principals.append(await asked.by_service_key(made.service_key.encode()))

    assert bool(made.service_key) is with_service_key
    for principal in principals:
        assert (made.user_id, set()) == (principal.user_id, principal.grants.accounts())
        assert EVERYTHING == allowed(principal, Resource(user_id=made.user_id))
    with pytest.raises(NightsafeError) as refused:
        await create_user(store, "ONE@example.com")
    assert Code.INVALID == refused.value.code


async def test_a_token_has_what_it_is_given(store: SqliteStore) -> None:
    """Policies, condition, times and owner are in its row; what is not given is not there."""
    policy = allowing(ACCOUNT_RESOURCE + ACCOUNT, ALL_ACCESS, scripts=["billing-*"])
    condition = Condition(request_ip=RequestIp(("192.0.2.0/24",)))
    issued = await issue_token(
        store, ACCOUNT, "c" * 32, "narrow", policies=[policy], condition=condition, not_before=1, expires_on=2**52,
        owner="account",
    )  # fmt: skip
    principal = await Authenticator(store).by_token(issued.token.encode())

    assert ("account_token", issued.id, ACCOUNT) == (principal.kind, principal.id, principal.account_id)
    assert (1, 2**52) == (principal.not_before, principal.expires_on)
    assert [True, False] == [principal.may_come_from(one) for one in ("192.0.2.1", "10.0.0.1")]
    assert EVERYTHING == allowed(principal, Resource(ACCOUNT, "billing-eu"))
    assert set() == allowed(principal, Resource(ACCOUNT)) == allowed(principal, Resource(ACCOUNT, "web"))

    wide = await issue_token(store, ACCOUNT, "c" * 32, "wide")
    plain = await Authenticator(store).by_token(wide.token.encode())
    assert ("token", 0, None, None) == (plain.kind, plain.not_before, plain.expires_on, plain.networks)
    assert EVERYTHING == allowed(plain, Resource(ACCOUNT))


async def test_policies_of_nothing_are_refused(store: SqliteStore) -> None:
    """A typing error makes no token that silently does nothing."""
    for policy in (allowing(ACCOUNT_RESOURCE + ACCOUNT, "0" * 32), allowing("account", ALL_ACCESS)):
        with pytest.raises(NightsafeError) as refused:
            await issue_token(store, ACCOUNT, "c" * 32, "x", policies=[policy])
        assert Code.INVALID == refused.value.code
    assert [] == await store.tokens_of_user("c" * 32)


async def test_each_leaves_its_entry_and_shows_no_credential(store: SqliteStore) -> None:
    """The log names what was made; neither it nor any `repr` holds a credential."""
    account = await create_account(store, ACCOUNT, "Home", "owner@example.com")
    user = await create_user(store, "one@example.com", with_service_key=True)
    token = await issue_token(store, ACCOUNT, user.user_id, "x")
    entries = [one for of in (ACCOUNT, "") for _, one in await store.audit_entries(of)]
    events = [json.loads(one.entry) for one in entries]

    assert [("accounts.create", ACCOUNT), ("tokens.create", token.id), ("users.create", user.user_id)] == [
        (event["action"], event["resource"]) for event in events
    ]
    assert {"operator"} == {event["actor_kind"] for event in events}
    shown = repr((account, user, token, events))
    for secret in (account.api_token, account.api_key, user.api_key, user.service_key, token.token):
        assert has_valid_checksum(secret)
        assert secret not in shown
