"""API tokens, of a user or of an account: list, get, create, update, roll, delete.

A token's value is shown when it is made or rolled and kept nowhere; what is kept is its SHA-256. Nobody gives a
token more than they have: what it may do, until when and from where. And nobody changes a token that has more than
they, or gets its value; but they may delete it, which gives nothing to anybody.
Source: `user/tokens` and `accounts/{account_id}/tokens` in the Cloudflare v4 API's specification.
"""

import asyncio
import uuid
from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct

from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.compiled import compiled_token
from nightsafe.identity.conditions import Condition, Networks
from nightsafe.identity.credentials import digest, new_token
from nightsafe.identity.delegation import Reach, excess_over
from nightsafe.identity.grants import Grants
from nightsafe.identity.policy import Policy, Resource, parse_policies
from nightsafe.identity.service import Principal
from nightsafe.services.caller import Caller, identity_change, now
from nightsafe.store.identities import Token
from nightsafe.store.interface import Store
from nightsafe.store.turns import turn

ACTIVE = "active"
DISABLED = "disabled"
EXPIRED = "expired"


class Wanted(Struct, frozen=True, kw_only=True):
    """A token as somebody wants it.

    Attributes:
        name: what to call it.
        policies: what it may do; checked already.
        condition: what its requests must be like.
        not_before: from when on, in microseconds, or None.
        expires_on: until when, in microseconds, or None.
        status: `active`, `disabled`, or None to leave it.
    """

    name: str
    policies: tuple[Policy, ...]
    condition: Condition = Condition()
    not_before: int | None = None
    expires_on: int | None = None
    status: str | None = None


class Tokens:
    """The use cases. An owner is a user or an account, as the resource that the caller may manage tokens of."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._turn = asyncio.Lock()

    async def list(self, owner: Resource) -> Sequence[Token]:
        """Every token of an owner, oldest first."""
        if owner.user_id:
            return await self._store.tokens_of_user(owner.user_id)
        return await self._store.tokens_of_account(owner.account_id)

    async def get(self, owner: Resource, token_id: str) -> Token:
        """One token.

        Raises:
            NightsafeError: TOKEN_NOT_FOUND, when this owner has none with this id.
        """
        found = await self._store.token_by_id(token_id)
        if found is None or not _is_of(found, owner):
            raise NightsafeError(Code.TOKEN_NOT_FOUND)
        return found

    async def create(self, caller: Caller, owner: Resource, wanted: Wanted) -> tuple[Token, str]:
        """Make a token; gives it with its value, which is shown this once.

        Raises:
            NightsafeError: TOKEN_EXCEEDS, when it could do what the caller may not, longer, or from elsewhere.
        """
        _need_no_more(caller.principal, _reach_of_wanted(wanted))
        value, at = new_token(), now()
        token = Token(
            id=uuid.uuid4().hex,
            digest=digest(value),
            user_id=caller.principal.user_id,
            name=wanted.name,
            status=wanted.status or ACTIVE,
            policies=msgspec.json.encode(_named(wanted.policies)),
            issued_on=at,
            modified_on=at,
            not_before=wanted.not_before,
            expires_on=wanted.expires_on,
            account_id=owner.account_id,
            condition=msgspec.json.encode(wanted.condition),
        )
        await self._store.commit(identity_change(caller, "tokens.create", token.account_id, token.id, put=(token,)))
        return token, value

    async def update(self, caller: Caller, owner: Resource, token_id: str, wanted: Wanted) -> Token:
        """Replace everything about a token but its value; gives it as it is then.

        Raises:
            NightsafeError: TOKEN_NOT_FOUND; TOKEN_EXCEEDS, when it can already, or then could, do what the caller may
                not, longer, or from elsewhere; UNAVAILABLE, when it was changed meanwhile.
        """
        async with self._turn:
            token = await self.get(owner, token_id)
            _need_no_more_already(caller.principal, token)
            await turn()
            _need_no_more(caller.principal, _reach_of_wanted(wanted))
            kept = {policy.id for policy in parse_policies(token.policies)}
            changed = msgspec.structs.replace(
                token,
                name=wanted.name,
                status=wanted.status or token.status,
                policies=msgspec.json.encode(_named(wanted.policies, kept)),
                modified_on=now(),
                not_before=wanted.not_before,
                expires_on=wanted.expires_on,
                condition=msgspec.json.encode(wanted.condition),
            )
            await self._commit(caller, "tokens.update", token, put=(changed,))
        return changed

    async def roll(self, caller: Caller, owner: Resource, token_id: str) -> str:
        """Give a token a new value, which is shown this once; the old one is dead.

        Raises:
            NightsafeError: TOKEN_NOT_FOUND; TOKEN_EXCEEDS, when it can do what the caller may not, longer, or from
                elsewhere; UNAVAILABLE, when it was changed meanwhile.
        """
        async with self._turn:
            token = await self.get(owner, token_id)
            _need_no_more_already(caller.principal, token)
            value = new_token()
            rolled = msgspec.structs.replace(token, digest=digest(value), modified_on=now())
            await self._commit(caller, "tokens.roll", token, put=(rolled,))
        return value

    async def delete(self, caller: Caller, owner: Resource, token_id: str) -> str:
        """Delete a token; gives its id.

        Raises:
            NightsafeError: TOKEN_NOT_FOUND.
        """
        async with self._turn:
            token = await self.get(owner, token_id)
            await self._commit(caller, "tokens.delete", token, drop=(token.id,))
        return token.id

    async def _commit(
        self, caller: Caller, action: str, token: Token, put: tuple[Token, ...] = (), drop: tuple[str, ...] = ()
    ) -> None:
        """Change a token, or drop it, with the log entry.

        Only if it is still as it was read: another process may roll it meanwhile, and its old value must stay dead.
        """
        change = identity_change(caller, action, token.account_id, token.id, put=put, drop_tokens=drop)
        await self._store.commit(msgspec.structs.replace(change, unchanged=(token,)))


def _is_of(token: Token, owner: Resource) -> bool:
    """Whether a token is an owner's. The user who made it for an account owns none of that."""
    if owner.user_id:
        return not token.account_id and token.user_id == owner.user_id
    return bool(owner.account_id) and token.account_id == owner.account_id


def status_of(token: Token, at: int) -> str:
    """What a token is at a time, in the wire's words."""
    if token.status == ACTIVE and token.expires_on is not None and token.expires_on <= at:
        return EXPIRED
    return token.status


def _need_no_more(principal: Principal, wanted: Reach) -> None:
    """Refuse a token that gives what the principal has not got.

    Raises:
        NightsafeError: TOKEN_EXCEEDS.
    """
    excess = excess_over(Reach(principal.grants, principal.networks, principal.expires_on), wanted)
    if excess is not None:
        sentence, pointer = excess
        raise NightsafeError(Code.TOKEN_EXCEEDS, sentence, pointer)


def _need_no_more_already(principal: Principal, token: Token) -> None:
    """Refuse to touch a token that has more than the principal: its value and what it may do are not theirs.

    Raises:
        NightsafeError: TOKEN_EXCEEDS.
    """
    if token.id == principal.id:
        return
    compiled = compiled_token(token)
    mine = Reach(principal.grants, principal.networks, principal.expires_on)
    if excess_over(mine, Reach(compiled.grants, compiled.networks, token.expires_on)) is not None:
        sentence = "this token has more than you: it may do more, for longer, or from elsewhere"
        raise NightsafeError(Code.TOKEN_EXCEEDS, sentence)


def _reach_of_wanted(wanted: Wanted) -> Reach:
    """What a token gives as it is wanted."""
    condition = wanted.condition
    networks = None if condition == Condition() else Networks(condition)
    return Reach(Grants(wanted.policies), networks, wanted.expires_on)


def _named(policies: Iterable[Policy], kept: Iterable[str] = ()) -> list[Policy]:
    """Policies with an id each: that of one which was there before, or a new one."""
    free = set(kept)
    named = []
    for policy in policies:
        known = policy.id in free
        free.discard(policy.id)
        named.append(policy if known else msgspec.structs.replace(policy, id=uuid.uuid4().hex))
    return named
