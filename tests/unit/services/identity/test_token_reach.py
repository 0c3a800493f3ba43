"""Tokens made by tokens stay within the first token's permissions, scripts, times and addresses."""

import asyncio
from collections.abc import Iterable
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.effort import examples

from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.compiled import compiled_token
from nightsafe.identity.conditions import Condition, RequestIp, encode_condition
from nightsafe.identity.permissions import ALL_ACCESS, Action
from nightsafe.identity.policy import (
    ACCOUNT_RESOURCE,
    ALL_ACCOUNTS,
    SCRIPT_RESOURCE,
    GroupRef,
    Policy,
    Resource,
    confine,
    encode_policies,
    parse_policies,
)
from nightsafe.identity.service import Principal
from nightsafe.services.caller import Caller, now
from nightsafe.services.identity.tokens import ACTIVE, DISABLED, TokenRequest, Tokens
from nightsafe.store.changes import Change
from nightsafe.store.identities import Token

ACCOUNT = "a" * 32
OWNER = Resource(account_id=ACCOUNT)
READ, WRITE = "1a71c399035b4950a1bd1466bbe4f420", "e086da7e2179491d91ee5f35b3ca210a"
HOUR = 3_600_000_000
AT = now()
TIMES = [AT + HOUR // 2 * half for half in (1, 3, 5, 7)]
ADDRESSES = ["192.0.2.7", "192.0.2.200", "203.0.113.1", "2001:db8::1", "::ffff:192.0.2.7"]
ASKED = [
    (action, Resource(account, script))
    for action in (Action.READ_SCRIPTS, Action.WRITE_SECRETS, Action.WRITE_TOKENS)
    for account in (ACCOUNT, "b" * 32)
    for script in ("", "ab", "ba", "n/a")
]

SCOPES = st.just("*") | st.dictionaries(
    st.sampled_from(["a*", "ab", "*b", "?b", "[ab]*", "n/*", "*"]).map(SCRIPT_RESOURCE.__add__),
    st.just("*"),
    min_size=1,
    max_size=2,
)
ACCOUNTS = st.sampled_from([ACCOUNT_RESOURCE + account for account in (ACCOUNT, ALL_ACCOUNTS)])
POLICIES = st.lists(
    st.builds(
        Policy,
        effect=st.sampled_from(["allow", "allow", "allow", "deny"]),
        permission_groups=st.sampled_from([ALL_ACCESS, READ, WRITE]).map(lambda group: (GroupRef(group),)),
        resources=st.dictionaries(ACCOUNTS, SCOPES, min_size=1),
    ),
    min_size=1,
    max_size=2,
).map(tuple)  # fmt: skip
RANGES = st.lists(st.sampled_from(["192.0.2.0/24", "192.0.2.0/25", "::/0", "0.0.0.0/0"]), max_size=2).map(tuple)
WANTED = st.builds(
    TokenRequest,
    name=st.just("t"),
    policies=POLICIES,
    condition=st.just(Condition()) | st.builds(Condition, st.builds(RequestIp, RANGES, RANGES)),
    not_before=st.sampled_from([None, AT - HOUR, AT + HOUR]),
    expires_on=st.sampled_from([None, None, *(AT + hours * HOUR for hours in (1, 2, 3))]),
    status=st.sampled_from([None, ACTIVE, DISABLED]),
)
KINDS = st.sampled_from(["create", "update", "roll", "roll"])
STEPS = st.lists(
    st.tuples(KINDS, st.integers(0, 9), st.integers(0, 9), WANTED | st.none()),
    min_size=1,
    max_size=6,
)  # fmt: skip


class TokenStore:
    """A store of tokens, with the methods that the use cases need."""

    def __init__(self, tokens: Iterable[Token]) -> None:
        self.tokens = {token.id: token for token in tokens}

    async def token_by_id(self, token_id: str) -> Token | None:
        """Return the token with this id."""
        return self.tokens.get(token_id)

    async def commit(self, change: Change) -> None:
        """Store the tokens of a change."""
        self.tokens |= {row.id: row for row in change.put if isinstance(row, Token)}


def token_of(token_id: str, wanted: TokenRequest, **more: Any) -> Token:
    """Return a token as an operator makes it."""
    return Token(
        id=token_id,
        digest=token_id.encode(),
        user_id="u",
        name="t",
        status=ACTIVE,
        policies=encode_policies(wanted.policies),
        issued_on=0,
        modified_on=0,
        expires_on=wanted.expires_on,
        account_id=ACCOUNT,
        condition=encode_condition(wanted.condition),
        **more,
    )


def allowed(token: Token) -> set[tuple[Action, Resource, int, str]]:
    """Return everything that a token may do, by time and address."""
    compiled = compiled_token(token)
    if token.status != ACTIVE:
        return set()
    times = [
        at for at in TIMES if (token.not_before or 0) <= at and (token.expires_on is None or at < token.expires_on)
    ]
    sources = [source for source in ADDRESSES if compiled.networks is None or compiled.networks.admit(source)]
    done = [(action, resource) for action, resource in ASKED if compiled.grants.allow(action, resource)]
    return {(action, resource, at, source) for action, resource in done for at in times for source in sources}


def caller_by(token: Token) -> Caller:
    """Return the caller of a request with a token."""
    compiled = compiled_token(token)
    return Caller(
        Principal(
            kind="account_token",
            id=token.id,
            user_id="u",
            email="",
            grants=compiled.grants,
            account_id=ACCOUNT,
            networks=compiled.networks,
            not_before=token.not_before or 0,
            expires_on=token.expires_on,
        )
    )


async def step(store: TokenStore, reachable: list[str], move: tuple[str, int, int, TokenRequest | None]) -> None:
    """Make a request with one of the holder's tokens; None asks for that token's own attributes."""
    kind, who, whom, asked = move
    mine = store.tokens[reachable[who % len(reachable)]]
    if mine.status != ACTIVE or (mine.not_before or 0) > AT:
        return
    target = [*store.tokens][whom % len(store.tokens)]
    tokens, caller = Tokens(store), caller_by(mine)  # type: ignore[arg-type]  # it has the methods that are used
    wanted = asked or wanted_again(mine)
    try:
        if kind == "create":
            made, _ = await tokens.create(caller, OWNER, wanted)
            reachable.append(made.id)
        elif kind == "update":
            await tokens.update(caller, OWNER, target, wanted)
        else:
            await tokens.roll(caller, OWNER, target)
            reachable.append(target)
    except NightsafeError as error:
        own = kind == "create" or target == mine.id
        if error.code is not Code.TOKEN_EXCEEDS or (asked is None and own):
            raise


def wanted_again(token: Token) -> TokenRequest:
    """Return a token's own attributes."""
    return TokenRequest(
        name="again",
        policies=stored_policies(token),
        condition=msgspec.json.decode(token.condition, type=Condition),
        not_before=token.not_before,
        expires_on=token.expires_on,
    )


def stored_policies(token: Token) -> tuple[Policy, ...]:
    """Return a token's policies, as far as they hold in its account."""
    return tuple(confine(policy, ACCOUNT) for policy in parse_policies(token.policies))


@given(WANTED, WANTED, STEPS)
@settings(max_examples=examples(150), deadline=None)
def test_no_derived_token_exceeds_the_first(
    mine: TokenRequest, other: TokenRequest, moves: list[tuple[str, int, int, TokenRequest | None]]
) -> None:
    """However a holder makes, changes and rolls tokens, none whose value is known may do more than the first.

    A token may always give all that it has: to a copy, and to itself again.
    """
    everything = Policy(
        effect="allow", permission_groups=(GroupRef(ALL_ACCESS),), resources={ACCOUNT_RESOURCE + ACCOUNT: "*"}
    )
    strongest = token_of("strongest", TokenRequest(name="t", policies=(everything,)))
    first = token_of("mine", mine)
    store, reachable = TokenStore([first, strongest, token_of("other", other)]), ["mine"]
    had = allowed(replace(first, not_before=None))

    async def play() -> None:
        """Make every move in turn."""
        for move in moves:
            await step(store, reachable, move)

    asyncio.run(play())
    for token_id in reachable:
        assert allowed(store.tokens[token_id]) <= had
