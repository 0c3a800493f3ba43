"""Accounts, users, memberships, tokens, and the audit log."""

import pytest
from msgspec.structs import replace
from tests.engines.tools.changes import ACCOUNT, OTHER_ACCOUNT, REF, change, dropping, entry, secret, setting, upload
from tests.engines.tools.refusals import refusal

from nightsafe.errors import Code
from nightsafe.merkle.tree import leaf_hash
from nightsafe.store.identities import Account, Membership, Token, User
from nightsafe.store.interface import Store

USER = User("c" * 32, "Someone@Example.com", b"k" * 32, 5, b"s" * 32)
TOKEN = Token(
    id="d" * 32,
    digest=b"t" * 32,
    user_id=USER.id,
    name="deploys",
    status="active",
    policies=b"[]",
    issued_on=1,
    modified_on=2,
    not_before=None,
    expires_on=9,
)


async def test_identities_are_read_as_they_were_put(store: Store) -> None:
    """One change puts an account, a user, a membership and a token; each is read back as it was put."""
    account, membership = Account(ACCOUNT, "Home", 7), Membership(ACCOUNT, USER.id, b"[1]", 8)

    outcome = await store.commit(change(None, account, USER, membership, TOKEN))

    assert (outcome.version, outcome.script_id, outcome.secrets) == (0, "", ())
    assert [account] == await store.accounts()
    assert await store.user(USER.id) == USER
    assert [membership] == await store.memberships(USER.id)
    assert [membership] == await store.members(ACCOUNT)
    assert await store.account(ACCOUNT) == account
    assert await store.user_by_service_key(b"s" * 32) == USER
    assert await store.token(TOKEN.digest) == TOKEN


async def test_a_second_put_replaces_every_field(store: Store) -> None:
    """A second put of the same id replaces every field; a token's old digest is unknown afterwards."""
    user, token = replace(USER, email="other@example.com"), replace(TOKEN, digest=b"u" * 32, status="disabled")
    await store.commit(change(None, Account(ACCOUNT, "Old", 1), USER, Membership(ACCOUNT, USER.id, b"[]", 1), TOKEN))

    await store.commit(change(None, Account(ACCOUNT, "New", 2), user, Membership(ACCOUNT, USER.id, b"[2]", 3), token))

    assert [Account(ACCOUNT, "New", 2)] == await store.accounts()
    assert user == await store.user(USER.id)
    assert [Membership(ACCOUNT, USER.id, b"[2]", 3)] == await store.memberships(USER.id)
    assert (None, token) == (await store.token(TOKEN.digest), await store.token(token.digest))
    assert (None, user) == (await store.user_by_email(USER.email), await store.user_by_email("OTHER@example.com"))


async def test_absent_identities_are_none_or_empty(store: Store) -> None:
    """Reads of absent identities return None or an empty list."""
    assert [await store.user("x"), await store.user_by_email("x"), await store.token(b"x")] == [None] * 3
    assert [await store.user_by_service_key(b"x"), await store.account("x")] == [None] * 2
    assert [await store.accounts(), await store.memberships("x"), await store.members("x")] == [[]] * 3
    assert [await store.tokens_of_user("x"), await store.tokens_of_account("x")] == [[]] * 2
    assert await store.tokens_of_account("") == []
    assert await store.audit_entries(ACCOUNT) == []


async def test_a_token_belongs_to_a_user_or_an_account(store: Store) -> None:
    """Tokens of users and of accounts are listed separately, oldest first, and only for their owner."""
    second = replace(TOKEN, id="1" * 32, digest=b"2" * 32, issued_on=2)
    owned = [
        replace(TOKEN, id=f"{n:032x}", digest=bytes([n]) * 32, account_id=ACCOUNT, condition=b'{"a":1}', issued_on=n)
        for n in (5, 6)
    ]
    foreign = replace(TOKEN, id="7" * 32, digest=b"7" * 32, account_id=OTHER_ACCOUNT)
    await store.commit(change(None, second, TOKEN, *reversed(owned), foreign))

    assert [TOKEN, second] == await store.tokens_of_user(USER.id)
    assert [TOKEN, None] == [await store.token_by_id(TOKEN.id), await store.token_by_id("none")]
    assert owned == await store.tokens_of_account(ACCOUNT)
    assert [foreign] == await store.tokens_of_account(OTHER_ACCOUNT)
    assert [] == await store.tokens_of_account("")
    assert owned[0] == await store.token(owned[0].digest)


async def test_a_dropped_token_is_unknown(store: Store) -> None:
    """A dropped token is unknown afterwards and others stay; an absent id is ignored. The log gets an entry."""
    other = replace(TOKEN, id="1" * 32, digest=b"2" * 32)
    await store.commit(change(None, TOKEN, other))
    before = store.generation()

    await store.commit(replace(change(None), drop_tokens=(TOKEN.id, "absent")))

    assert before != store.generation()
    assert (None, other) == (await store.token(TOKEN.digest), await store.token(other.digest))
    assert len(await store.audit_entries(ACCOUNT)) == 2


@pytest.mark.parametrize("meanwhile", [{"digest": b"u" * 32}, {"modified_on": 3}, None])
async def test_a_change_over_an_altered_token_is_refused(store: Store, meanwhile: dict[str, object] | None) -> None:
    """A change based on a token is refused if the token was rolled, altered or deleted since it was read."""
    await store.commit(change(None, TOKEN))
    await store.commit(replace(change(None, replace(TOKEN, name="first")), unchanged=(TOKEN,)))
    at_last = replace(TOKEN, **meanwhile) if meanwhile else None
    await store.commit(change(None, at_last) if at_last else replace(change(None), drop_tokens=(TOKEN.id,)))

    [(code, _)] = await refusal(store, replace(change(None, replace(TOKEN, name="second")), unchanged=(TOKEN,)))

    assert code == Code.UNAVAILABLE
    assert [at_last] * bool(at_last) == await store.tokens_of_user(USER.id)
    assert len(await store.audit_entries(ACCOUNT)) == 3


async def test_a_service_key_belongs_to_one_user(store: Store) -> None:
    """A second user with the same service key is refused; any number of users can be without one."""
    await store.commit(change(None, USER))
    [(code, _)] = await refusal(store, change(None, replace(USER, id="e" * 32, email="other@example.com")))
    for number in range(3):
        user = User(str(number) * 32, f"{number}@example.com", b"k" * 32, 5)
        await store.commit(change(None, user))
        assert user == await store.user(user.id)

    assert code == Code.INVALID


@pytest.mark.parametrize("email", ["someone@example.com", "SOMEONE@EXAMPLE.COM", "Someone@Example.com"])
async def test_email_is_compared_without_case(store: Store, email: str) -> None:
    """Any spelling of the e-mail finds the user; the user shows the spelling that was put."""
    await store.commit(change(None, USER))

    assert await store.user_by_email(email) == USER


async def test_an_email_or_digest_in_use_is_refused(store: Store) -> None:
    """A second user with an e-mail, or a second token with a digest, is refused and the change writes nothing."""
    await store.commit(change(None, USER, TOKEN))
    account = Account(ACCOUNT, "Home", 7)

    for rival in (replace(USER, id="e" * 32, email="SOMEONE@example.com"), replace(TOKEN, id="f" * 32)):
        problems = await refusal(store, change(None, account, rival))
        assert [code for code, _ in problems] == [Code.INVALID]

    assert await store.accounts() == []
    assert len(await store.audit_entries(ACCOUNT)) == 1


async def test_accounts_and_members_are_listed_in_order(store: Store) -> None:
    """Accounts are listed oldest first, memberships by account, and members longest first."""
    accounts = [Account(OTHER_ACCOUNT, "B", 1), Account(ACCOUNT, "A", 2)]
    members = [Membership(ACCOUNT, "y", b"[]", 1), Membership(ACCOUNT, "x", b"[]", 2)]
    await store.commit(
        change(None, *reversed(accounts), *reversed(members), Membership(OTHER_ACCOUNT, "x", b"[]", 0))
    )

    assert accounts == await store.accounts()
    assert [membership.account_id for membership in await store.memberships("x")] == [ACCOUNT, OTHER_ACCOUNT]
    assert members == await store.members(ACCOUNT)


async def test_audit_entries_are_listed_in_commit_order(store: Store) -> None:
    """Entries are read per account, in the order of the commits, after a given number and up to a limit."""
    texts = [f"entry {number}" for number in range(5)]
    for text in texts:
        await store.commit(change(audit=entry(text)))
        await store.commit(change(audit=entry("elsewhere", OTHER_ACCOUNT)))

    rows = await store.audit_entries(ACCOUNT)

    assert [replace(entry(text), leaf=leaf_hash(entry(text).entry)) for text in texts] == [found for _, found in rows]
    assert sorted({number for number, _ in rows}) == [number for number, _ in rows]
    assert rows[2:4] == await store.audit_entries(ACCOUNT, after=rows[1][0], limit=2)
    assert len(await store.audit_entries(OTHER_ACCOUNT)) == 5


async def test_a_refused_change_leaves_no_audit_entry(store: Store) -> None:
    """A refused change leaves no audit entry."""
    await store.commit(upload())
    await refusal(store, dropping("X"))
    await store.commit(setting(secret("S")))

    assert len(await store.audit_entries(REF.account_id)) == 2
