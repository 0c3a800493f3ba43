"""Authentication: the cache of principals, its lifetime, and the comparison of secrets."""

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from nightsafe.errors import Code, NightsafeError
from nightsafe.identity import service
from nightsafe.identity.credentials import digest
from nightsafe.identity.grants import Grants
from nightsafe.identity.permissions import ALL_ACCESS, Action
from nightsafe.identity.policy import (
    ACCOUNT_RESOURCE,
    ALL_ACCOUNTS,
    USER_RESOURCE,
    GroupRef,
    Policy,
    Resource,
    allow_policy,
    encode_policies,
    policies_for,
)
from nightsafe.identity.service import Authenticator, Principal, may
from nightsafe.store.identities import Account, Membership, Token, User

ACCOUNT, OTHER = "a" * 32, "b" * 32
OWNER = User("u" * 32, "owner@example.com", digest("a-global-key-of-theirs"), 0, digest("a-service-key-of-theirs"))


def token(name: bytes = b"token", **columns: Any) -> Token:
    """Return a token as the store keeps it."""
    row: dict[str, Any] = {
        "id": "t" * 32,
        "digest": digest(name),
        "user_id": OWNER.id,
        "name": "a token",
        "status": "active",
        "policies": policies_for(ACCOUNT, ALL_ACCESS),
        "issued_on": 0,
        "modified_on": 0,
    }
    return Token(**(row | columns))


class FakeStore:
    """The part of a store that an authenticator needs; counts the look-ups.

    Args:
        tokens: its tokens.
        knows_every_commit: as in `Store`; if False, `generation` does not know of any commit.
    """

    def __init__(self, *tokens: Token, knows_every_commit: bool = True) -> None:
        self.knows_every_commit = knows_every_commit
        self.tokens = {known_token.digest: known_token for known_token in tokens}
        self.accounts: set[str] = set()
        self.number = 0
        self.lookups = 0
        self.questions = 0
        self.on_lookup: Callable[[], None] = lambda: None

    def generation(self) -> object:
        """Return the number of commits, as far as the store knows it."""
        return self.number if self.knows_every_commit else 0

    async def identity_generation(self) -> object:
        """Return the number of commits."""
        self.questions += 1
        return self.number

    async def token(self, token_digest: bytes) -> Token | None:
        """Look a token up."""
        self.lookups += 1
        self.on_lookup()
        return self.tokens.get(token_digest)

    async def account(self, account_id: str) -> Account | None:
        """Look an account up."""
        self.lookups += 1
        self.on_lookup()
        return Account(account_id, "an account", 0) if account_id in self.accounts else None

    async def user(self, user_id: str) -> User | None:
        """Return the only user."""
        return OWNER if user_id == OWNER.id else None

    async def user_by_email(self, email: str) -> User | None:
        """Return the only user."""
        return OWNER if email.casefold() == OWNER.email else None

    async def user_by_service_key(self, key_digest: bytes) -> User | None:
        """Return the only user for any key, so that the comparison decides."""
        return OWNER if key_digest != bytes(32) else None

    async def memberships(self, user_id: str) -> list[Membership]:
        """Return memberships of two accounts, the second without permissions."""
        every = ((ACCOUNT, policies_for(ACCOUNT, ALL_ACCESS)), (OTHER, b"[]"))
        return [Membership(account, user_id, policies, 0) for account, policies in every]


def authenticator(fake_store: FakeStore) -> Authenticator:
    """Return an authenticator over the store."""
    return Authenticator(fake_store)  # type: ignore[arg-type]  # it has what is used


async def refusal(fake_store: FakeStore, name: bytes = b"token") -> Code:
    """Return the code with which a token is refused."""
    with pytest.raises(NightsafeError) as refused:
        await authenticator(fake_store).by_token(name)
    return refused.value.code


each_store = pytest.mark.parametrize("knows_every_commit", [True, False])


@each_store
async def test_a_token_is_looked_up_once(*, knows_every_commit: bool) -> None:
    """A token is looked up once until the next commit, and gives the same principal."""
    fake_store = FakeStore(token(), knows_every_commit=knows_every_commit)
    asked = authenticator(fake_store)
    assert asked.cached_principal(b"token") is None

    first = await asked.by_token(b"token")

    assert ("token", "t" * 32, OWNER.id, OWNER.email) == (first.kind, first.id, first.user_id, first.email)
    assert first is await asked.by_token(b"token")
    assert first is asked.cached_principal(b"token")
    assert fake_store.lookups == 1


@each_store
async def test_a_commit_empties_the_cache(*, knows_every_commit: bool) -> None:
    """A revoked token is refused by the next request, also if the store does not know of the commit by itself."""
    fake_store = FakeStore(token(), knows_every_commit=knows_every_commit)
    asked = authenticator(fake_store)
    await asked.by_token(b"token")
    fake_store.tokens.clear()
    fake_store.number += 1

    await asked.refresh()
    assert asked.cached_principal(b"token") is None
    with pytest.raises(NightsafeError):
        await asked.by_token(b"token")


async def test_a_store_that_knows_every_commit_is_not_asked() -> None:
    """A store that knows every commit by itself is not asked in each request."""
    fake_store = FakeStore(token())
    asked = authenticator(fake_store)
    for _ in range(2):
        await asked.by_token(b"token")

    assert fake_store.questions == 0


async def test_a_token_is_looked_up_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token whose row was deleted without a commit that the store tells of is refused after a while."""
    monkeypatch.setattr(service, "_MOST_SECONDS", 0.05)
    fake_store = FakeStore(token(), knows_every_commit=False)
    asked = authenticator(fake_store)
    await asked.by_token(b"token")
    fake_store.tokens.clear()
    await asyncio.sleep(0.1)

    assert asked.cached_principal(b"token") is None
    with pytest.raises(NightsafeError):
        await asked.by_token(b"token")


@pytest.mark.parametrize("kind", ["token", "key", "service key"])
async def test_a_deleted_account_is_noticed_with_each_credential(kind: str) -> None:
    """An account that another process has deleted does not exist for the next request with any credential."""
    fake_store = FakeStore(token(), knows_every_commit=False)
    fake_store.accounts.add(ACCOUNT)
    asked = authenticator(fake_store)
    checks: dict[str, Callable[[], Awaitable[Principal]]] = {
        "token": lambda: asked.by_token(b"token"),
        "key": lambda: asked.by_key(OWNER.email, b"a-global-key-of-theirs"),
        "service key": lambda: asked.by_service_key(b"a-service-key-of-theirs"),
    }
    check = checks[kind]
    await check()
    assert await asked.has_account(ACCOUNT)
    fake_store.accounts.clear()
    fake_store.number += 1

    await check()
    assert not await asked.has_account(ACCOUNT)


@each_store
async def test_a_commit_during_the_look_up_is_not_missed(*, knows_every_commit: bool) -> None:
    """A token that was read before a commit is not cached after it."""
    fake_store = FakeStore(token(), knows_every_commit=knows_every_commit)
    asked = authenticator(fake_store)

    def commit() -> None:
        """Commit, as another request would."""
        fake_store.number += 1

    fake_store.on_lookup = commit
    await asked.by_token(b"token")

    await asked.refresh()
    assert asked.cached_principal(b"token") is None


async def test_a_refusal_is_not_remembered() -> None:
    """An unknown token is not cached, and is accepted as soon as it exists."""
    fake_store = FakeStore()
    asked = authenticator(fake_store)
    with pytest.raises(NightsafeError):
        await asked.by_token(b"token")
    fake_store.tokens[digest(b"token")] = token()

    assert (await asked.by_token(b"token")).id == "t" * 32


async def test_remembered_tokens_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the cache is full, further tokens are looked up each time and still accepted."""
    monkeypatch.setattr(service, "_MAX_WEIGHT", 2 * 1024)
    names = [b"1", b"2", b"3"]
    asked = authenticator(FakeStore(*(token(name) for name in names)))
    for name in names:
        await asked.by_token(name)

    assert [True, True, False] == [asked.cached_principal(name) is not None for name in names]
    assert (await asked.by_token(b"3")).user_id == OWNER.id


async def test_an_account_is_looked_up_once_until_the_next_commit() -> None:
    """An account that exists is looked up once; after a commit, a deleted one does not exist any more."""
    fake_store = FakeStore()
    fake_store.accounts.add(ACCOUNT)
    asked = authenticator(fake_store)

    assert [True, True] == [await asked.has_account(ACCOUNT) for _ in range(2)]
    assert fake_store.lookups == 1
    fake_store.accounts.clear()
    fake_store.number += 1
    assert not await asked.has_account(ACCOUNT)


async def test_an_absent_account_is_not_remembered() -> None:
    """An account counts as soon as it exists; one that was read before a commit is looked up again after it."""
    fake_store = FakeStore()
    asked = authenticator(fake_store)
    assert not await asked.has_account(ACCOUNT)
    fake_store.accounts.add(ACCOUNT)

    def commit() -> None:
        """Commit, as another request would."""
        fake_store.number += 1

    fake_store.on_lookup = commit
    assert [True, True] == [await asked.has_account(ACCOUNT) for _ in range(2)]
    assert fake_store.lookups == 3


@pytest.mark.parametrize(
    "columns",
    [
        {"status": "disabled"},
        {"status": "expired"},
        {"expires_on": 1},
        {"not_before": 2**60},
        {"digest": digest(b"x")},
    ],
)
async def test_a_token_that_may_not_be_used_is_refused(columns: dict[str, Any]) -> None:
    """A token that is disabled, expired, not yet valid, or another's row is refused as unknown."""
    fake_store = FakeStore()
    fake_store.tokens[digest(b"token")] = token(**columns)

    assert Code.UNKNOWN_TOKEN == await refusal(fake_store) == await refusal(FakeStore())


async def test_a_remembered_token_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cached token's time is checked with each use, to the microsecond."""
    asked = authenticator(FakeStore(token(not_before=5, expires_on=10)))
    for now, usable in ((4, False), (5, True), (9, True), (10, False), (9, True)):
        monkeypatch.setattr(time, "time_ns", lambda now=now: now * 1000)
        if usable:
            assert await asked.by_token(b"token") is asked.cached_principal(b"token")
        else:
            assert asked.cached_principal(b"token") is None
            with pytest.raises(NightsafeError):
                await asked.by_token(b"token")


async def test_secrets_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every comparison is `hmac.compare_digest` of two digests, also if there is no such user."""
    seen: list[tuple[int, int]] = []
    real = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        """Record the lengths that are compared."""
        seen.append((len(one), len(other)))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    asked = authenticator(FakeStore(token()))
    await asked.by_token(b"token")
    await asked.by_key(OWNER.email, b"a-global-key-of-theirs")
    await asked.by_service_key(b"a-service-key-of-theirs")
    for email in (OWNER.email, "nobody@example.com"):
        with pytest.raises(NightsafeError) as refused:
            await asked.by_key(email, b"another-key")
        assert refused.value.code == Code.UNKNOWN_KEY
    with pytest.raises(NightsafeError) as refused:
        await asked.by_service_key(b"another-key")

    assert refused.value.code == Code.UNKNOWN_SERVICE_KEY
    assert [(32, 32)] * 6 == seen


async def test_an_all_zero_digest_never_matches(monkeypatch: pytest.MonkeyPatch) -> None:
    """The all-zero digest that stands for an absent user never matches."""
    monkeypatch.setattr(service, "digest", lambda _: bytes(32))

    with pytest.raises(NightsafeError):
        await authenticator(FakeStore()).by_key("nobody@example.com", b"whatever")
    with pytest.raises(NightsafeError):
        await authenticator(FakeStore()).by_service_key(b"whatever")


@pytest.mark.parametrize("guess", [b"", b"t", b"toke", b"token\0", b"tokem", b"xoken"])
async def test_only_digests_are_compared(monkeypatch: pytest.MonkeyPatch, guess: bytes) -> None:
    """Only the SHA-256 of a guess is looked up and compared, however much of the guess is right."""
    looked_up: list[object] = []
    fake_store = FakeStore(token())
    real = fake_store.token

    async def look_up(token_digest: bytes) -> Token | None:
        """Record what is looked up; return another token's row, so that the comparison decides."""
        looked_up.append(token_digest)
        return await real(digest(b"token"))

    monkeypatch.setattr(fake_store, "token", look_up)
    with pytest.raises(NightsafeError) as refused:
        await authenticator(fake_store).by_token(guess)

    assert Code.UNKNOWN_TOKEN == refused.value.code
    assert [digest(guess)] == looked_up


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"status": "disabled"}, f"token {'t' * 32} is disabled"),
        ({"expires_on": 1}, f"token {'t' * 32} is not yet valid, or expired"),
        ({"digest": digest(b"x")}, "no such token"),
    ],
)
async def test_a_refusals_detail_has_the_reason(columns: dict[str, Any], why: str) -> None:
    """The detail, which no answer shows, has the exact reason."""
    fake_store = FakeStore()
    fake_store.tokens[digest(b"token")] = token(**columns)
    with pytest.raises(NightsafeError) as refused:
        await authenticator(fake_store).by_token(b"token")

    assert [why] == [problem.detail for problem in refused.value.problems]


async def test_an_accounts_token_stays_in_its_account() -> None:
    """An account's token has no effect outside its account, even if its policies name others."""
    policies = encode_policies(
        allow_policy(name, ALL_ACCESS)
        for name in (ACCOUNT_RESOURCE + ALL_ACCOUNTS, ACCOUNT_RESOURCE + OTHER, USER_RESOURCE + OWNER.id)
    )
    principal = await authenticator(FakeStore(token(policies=policies, account_id=ACCOUNT))).by_token(b"token")

    assert ("account_token", ACCOUNT) == (principal.kind, principal.account_id)
    assert {ACCOUNT} == principal.grants.accounts()
    assert may(principal, Action.WRITE_SECRETS, Resource(ACCOUNT, "any"))
    assert not may(principal, Action.WRITE_SECRETS, Resource(OTHER, "any"))
    assert not may(principal, Action.READ_USER, principal.user())
    assert not may(principal, Action.READ_USER, Resource(user_id=OWNER.id))


async def test_a_membership_covers_only_its_account() -> None:
    """A key has in each account exactly what the membership there allows."""
    fake_store = FakeStore()

    async def memberships(user_id: str) -> list[Membership]:
        """Return one membership that allows every account, and one that denies every account."""
        every = encode_policies([allow_policy(ACCOUNT_RESOURCE + ALL_ACCOUNTS, ALL_ACCESS)])
        denial = encode_policies(
            [
                Policy(
                    effect="deny",
                    permission_groups=(GroupRef(ALL_ACCESS),),
                    resources={ACCOUNT_RESOURCE + ALL_ACCOUNTS: "*"},
                )
            ]
        )
        return [Membership(ACCOUNT, user_id, every, 0), Membership(OTHER, user_id, denial, 0)]

    fake_store.memberships = memberships  # type: ignore[method-assign]
    principal = await authenticator(fake_store).by_service_key(b"a-service-key-of-theirs")

    assert {ACCOUNT} == principal.grants.accounts()
    allowed_by = principal.grants.allowed_by(Action.READ_SECRETS, Resource(ACCOUNT, "x"))
    assert allowed_by == f"membership {ACCOUNT} #0"
    assert not may(principal, Action.READ_SECRETS, Resource(OTHER))
    assert not may(principal, Action.READ_SECRETS, Resource("c" * 32))


async def test_a_token_is_bound_to_its_networks() -> None:
    """A token's networks come from its condition; without a condition every address is accepted."""
    bound = b'{"request_ip":{"in":["192.0.2.0/24"],"not_in":["192.0.2.7/32"]}}'
    principal = await authenticator(FakeStore(token(condition=bound))).by_token(b"token")
    free = await authenticator(FakeStore(token())).by_token(b"token")

    assert [True, False, False] == [principal.may_come_from(f"192.0.2.{last}") for last in (1, 7)] + [
        principal.may_come_from("198.51.100.1")
    ]
    assert free.may_come_from("")


@pytest.mark.parametrize("kind", ["key", "service_key"])
async def test_a_key_has_its_users_permissions(kind: str) -> None:
    """A key has the grants of all the user's memberships, and everything about the user."""
    asked = authenticator(FakeStore())
    if kind == "key":
        principal = await asked.by_key("OWNER@example.com", b"a-global-key-of-theirs")
    else:
        principal = await asked.by_service_key(b"a-service-key-of-theirs")

    assert (kind, OWNER.id) == (principal.kind, principal.id)
    everything = set(Action) - {Action.DELIVER, Action.RESEAL}
    for resource in (Resource(ACCOUNT), Resource(ACCOUNT, "any"), Resource(user_id=OWNER.id)):
        assert everything == {action for action in Action if may(principal, action, resource)}
    for resource in (Resource(OTHER), Resource(user_id="v" * 32), Resource()):
        assert not any(may(principal, action, resource) for action in Action)


def test_a_principal_without_bounds_is_always_current() -> None:
    """A principal without a beginning and an end is always current."""
    principal = Principal(kind="token", id="t", user_id="u", email="", grants=Grants([]))

    assert principal.is_current()
    assert not may(principal, Action.READ_SECRETS, Resource(ACCOUNT))
