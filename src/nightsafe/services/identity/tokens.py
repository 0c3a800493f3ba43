"""API tokens of a user or of an account: list, get, create, update, roll, delete.

A token's value is shown when the token is created or rolled, and is never stored; the store has its SHA-256. A caller
cannot give a token more than they have: not more permissions, no later expiry, no other addresses. A caller cannot
change a token that has more than they have, or obtain its value. They can delete it, because that grants nothing.

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


class TokenRequest(Struct, frozen=True, kw_only=True):
    """The requested properties of a token.

    Attributes:
        name: its name.
        policies: its policies, already checked.
        condition: the condition on its requests.
        not_before: the start of its validity, in microseconds, or None.
        expires_on: its expiry, in microseconds, or None.
        status: `active`, `disabled`, or None to leave it unchanged.
    """

    name: str
    policies: tuple[Policy, ...]
    condition: Condition = Condition()
    not_before: int | None = None
    expires_on: int | None = None
    status: str | None = None


class Tokens:
    """The use cases of API tokens. An owner is a user or an account: the resource whose tokens the caller manages."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = asyncio.Lock()

    async def list(self, owner: Resource) -> Sequence[Token]:
        """Return every token of an owner, oldest first."""
        if owner.user_id:
            return await self._store.tokens_of_user(owner.user_id)
        return await self._store.tokens_of_account(owner.account_id)

    async def get(self, owner: Resource, token_id: str) -> Token:
        """Return one token.

        Raises:
            NightsafeError: TOKEN_NOT_FOUND, if this owner has no token with this ID.
        """
        token = await self._store.token_by_id(token_id)
        if token is None or not _belongs_to(token, owner):
            raise NightsafeError(Code.TOKEN_NOT_FOUND)
        return token

    async def create(self, caller: Caller, owner: Resource, request: TokenRequest) -> tuple[Token, str]:
        """Create a token, and return it with its value, which is shown only this once.

        Raises:
            NightsafeError: TOKEN_EXCEEDS, if it would have more permissions, a later expiry or other addresses than
                the caller.
        """
        _refuse_excess(caller.principal, _reach_of_request(request))
        value, at = new_token(), now()
        token = Token(
            id=uuid.uuid4().hex,
            digest=digest(value),
            user_id=caller.principal.user_id,
            name=request.name,
            status=request.status or ACTIVE,
            policies=msgspec.json.encode(_with_ids(request.policies)),
            issued_on=at,
            modified_on=at,
            not_before=request.not_before,
            expires_on=request.expires_on,
            account_id=owner.account_id,
            condition=msgspec.json.encode(request.condition),
        )
        await self._store.commit(identity_change(caller, "tokens.create", token.account_id, token.id, put=(token,)))
        return token, value

    async def update(self, caller: Caller, owner: Resource, token_id: str, request: TokenRequest) -> Token:
        """Replace everything about a token except its value, and return the changed token.

        Raises:
            NightsafeError: TOKEN_NOT_FOUND; TOKEN_EXCEEDS, if the token has, or would get, more permissions, a later
                expiry or other addresses than the caller; UNAVAILABLE, if it changed in the meantime.
        """
        async with self._lock:
            token = await self.get(owner, token_id)
            _refuse_existing_excess(caller.principal, token)
            await turn()
            _refuse_excess(caller.principal, _reach_of_request(request))
            existing_ids = {policy.id for policy in parse_policies(token.policies)}
            changed = msgspec.structs.replace(
                token,
                name=request.name,
                status=request.status or token.status,
                policies=msgspec.json.encode(_with_ids(request.policies, existing_ids)),
                modified_on=now(),
                not_before=request.not_before,
                expires_on=request.expires_on,
                condition=msgspec.json.encode(request.condition),
            )
            await self._commit(caller, "tokens.update", token, put=(changed,))
        return changed

    async def roll(self, caller: Caller, owner: Resource, token_id: str) -> str:
        """Give a token a new value, and return it; it is shown only this once. The old value stops working.

        Raises:
            NightsafeError: TOKEN_NOT_FOUND; TOKEN_EXCEEDS, if the token has more permissions, a later expiry or other
                addresses than the caller; UNAVAILABLE, if it changed in the meantime.
        """
        async with self._lock:
            token = await self.get(owner, token_id)
            _refuse_existing_excess(caller.principal, token)
            value = new_token()
            rolled = msgspec.structs.replace(token, digest=digest(value), modified_on=now())
            await self._commit(caller, "tokens.roll", token, put=(rolled,))
        return value

    async def delete(self, caller: Caller, owner: Resource, token_id: str) -> str:
        """Delete a token, and return its ID.

        Raises:
            NightsafeError: TOKEN_NOT_FOUND.
        """
        async with self._lock:
            token = await self.get(owner, token_id)
            await self._commit(caller, "tokens.delete", token, drop=(token.id,))
        return token.id

    async def _commit(
        self, caller: Caller, action: str, token: Token, put: tuple[Token, ...] = (), drop: tuple[str, ...] = ()
    ) -> None:
        """Change or delete a token, together with the log entry.

        Fail if the token has changed since it was read: if another process has rolled it, its old value must stay
        invalid.
        """
        change = identity_change(caller, action, token.account_id, token.id, put=put, drop_tokens=drop)
        await self._store.commit(msgspec.structs.replace(change, unchanged=(token,)))


def _belongs_to(token: Token, owner: Resource) -> bool:
    """Return whether an owner owns a token. A user does not own the tokens that they created for an account."""
    if owner.user_id:
        return not token.account_id and token.user_id == owner.user_id
    return bool(owner.account_id) and token.account_id == owner.account_id


def status_of(token: Token, at: int) -> str:
    """Return the API's status of a token at a time."""
    if token.status == ACTIVE and token.expires_on is not None and token.expires_on <= at:
        return EXPIRED
    return token.status


def _refuse_excess(principal: Principal, requested: Reach) -> None:
    """Refuse a token that grants more than the principal has.

    Raises:
        NightsafeError: TOKEN_EXCEEDS.
    """
    excess = excess_over(Reach(principal.grants, principal.networks, principal.expires_on), requested)
    if excess is not None:
        sentence, pointer = excess
        raise NightsafeError(Code.TOKEN_EXCEEDS, sentence, pointer)


def _refuse_existing_excess(principal: Principal, token: Token) -> None:
    """Refuse to change a token that already has more than the principal.

    Otherwise the principal could obtain its value, or decide its permissions.

    Raises:
        NightsafeError: TOKEN_EXCEEDS.
    """
    if token.id == principal.id:
        return
    compiled = compiled_token(token)
    mine = Reach(principal.grants, principal.networks, principal.expires_on)
    if excess_over(mine, Reach(compiled.grants, compiled.networks, token.expires_on)) is not None:
        sentence = "this token has more permissions than you, a later expiry, or addresses that you may not use"
        raise NightsafeError(Code.TOKEN_EXCEEDS, sentence)


def _reach_of_request(request: TokenRequest) -> Reach:
    """Return the reach of a requested token."""
    condition = request.condition
    networks = None if condition == Condition() else Networks(condition)
    return Reach(Grants(request.policies), networks, request.expires_on)


def _with_ids(policies: Iterable[Policy], existing_ids: Iterable[str] = ()) -> list[Policy]:
    """Return policies with an ID each: an existing ID if the token already has it, otherwise a new one."""
    free = set(existing_ids)
    named = []
    for policy in policies:
        keeps_id = policy.id in free
        free.discard(policy.id)
        named.append(policy if keeps_id else msgspec.structs.replace(policy, id=uuid.uuid4().hex))
    return named
