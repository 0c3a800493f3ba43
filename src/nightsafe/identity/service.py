"""Who asks: from the credential of a request to a principal, and whether it may."""

import hmac
import time

import msgspec
from msgspec import Struct

from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.compiled import CompiledTokens, compiled_token, refuse_excess, weight_of
from nightsafe.identity.conditions import Networks
from nightsafe.identity.credentials import digest
from nightsafe.identity.grants import Grants
from nightsafe.identity.permissions import ALL_ACCESS, Action
from nightsafe.identity.policy import USER_RESOURCE, Policy, Resource, allowing, confine, parse_policies
from nightsafe.store.identities import Token, User
from nightsafe.store.interface import Store

_MAX_WEIGHT = 8 * 1024 * 1024
"""Of the tokens that are remembered, as `weight_of` has it: about 8,000 of one policy."""


class Principal(Struct, frozen=True, kw_only=True):
    """An authenticated caller.

    Attributes:
        kind: `token`, `account_token`, `key` or `service_key`.
        id: the token's id, or the user's for a key.
        user_id: the user who is behind it.
        email: that user's e-mail.
        grants: what it may do.
        account_id: the account that owns an account token, or "".
        networks: from where it may be used, or None for anywhere.
        not_before: from when on, in microseconds, or 0.
        expires_on: until when, in microseconds, or None.
    """

    kind: str
    id: str
    user_id: str
    email: str
    grants: Grants
    account_id: str = ""
    networks: Networks | None = None
    not_before: int = 0
    expires_on: int | None = None

    def is_current(self) -> bool:
        """Whether now lies in its time."""
        if self.expires_on is None and not self.not_before:
            return True
        now = time.time_ns() // 1000
        return self.not_before <= now and (self.expires_on is None or now < self.expires_on)

    def may_come_from(self, address: str) -> bool:
        """Whether it may be used from this address."""
        return self.networks is None or self.networks.admit(address)

    def user(self) -> Resource:
        """Its own user, as what something is done to. An account's token acts for no user."""
        return Resource(user_id=self.user_id if self.kind != "account_token" else "-")


def may(principal: Principal, action: Action, resource: Resource) -> bool:
    """The one question: whether a principal may do something to a resource."""
    return principal.grants.allow(action, resource)


class Authenticator:
    """Turns credentials into principals.

    What it remembers lives no longer than the store's generation, so that a revoked credential is refused by
    the next request. A credential is looked up and compared by its SHA-256, never by itself: how long that takes
    tells nothing of how much of a guess is right.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._generation: object = None
        self._tokens: dict[bytes, Principal] = {}
        self._weight = 0
        self._compiled = CompiledTokens()

    def remembered(self, token: bytes) -> Principal | None:
        """The principal of a token that was looked up since the last commit, or None."""
        self._forget_if_changed()
        principal = self._tokens.get(digest(token))
        return principal if principal is not None and principal.is_current() else None

    async def by_token(self, token: bytes) -> Principal:
        """The principal of an API token, of a user or of an account.

        Raises:
            NightsafeError: UNKNOWN_TOKEN, when there is no such token or it may not be used now; the detail, for
                the log, says which.
        """
        principal = self.remembered(token)
        if principal is not None:
            return principal
        token_digest, generation = digest(token), self._generation
        found = await self._store.token(token_digest)
        if found is None or not hmac.compare_digest(found.digest, token_digest):
            raise NightsafeError(Code.UNKNOWN_TOKEN, "no such token")
        principal = await self._principal_of(found)
        if generation == self._store.generation():
            self._remember(found, principal)
        return principal

    async def by_key(self, email: str, key: bytes) -> Principal:
        """The principal of a user's Global API key.

        Raises:
            NightsafeError: UNKNOWN_KEY, when the pair is not known.
        """
        user = await self._store.user_by_email(email)
        known = user.key_digest if user is not None else bytes(32)
        if not hmac.compare_digest(known, digest(key)) or user is None:
            raise NightsafeError(Code.UNKNOWN_KEY, "no such user" if user is None else f"not the key of {user.id}")
        return await self._principal_of_user("key", user)

    async def by_service_key(self, key: bytes) -> Principal:
        """The principal of a user's service key.

        Raises:
            NightsafeError: UNKNOWN_SERVICE_KEY.
        """
        key_digest = digest(key)
        user = await self._store.user_by_service_key(key_digest)
        known = (user.service_key_digest if user is not None else None) or bytes(32)
        if not hmac.compare_digest(known, key_digest) or user is None:
            raise NightsafeError(Code.UNKNOWN_SERVICE_KEY, "no such service key")
        return await self._principal_of_user("service_key", user)

    async def has_account(self, account_id: str) -> bool:
        """Whether there is such an account."""
        return await self._store.account(account_id) is not None

    async def _principal_of(self, token: Token) -> Principal:
        """The principal of a stored token, if it is active and now lies in its time."""
        if token.status != "active":
            raise NightsafeError(Code.UNKNOWN_TOKEN, f"token {token.id} is {token.status}")
        user = await self._store.user(token.user_id)
        compiled = self._compiled.of(token)
        refuse_excess(token, compiled)
        principal = Principal(
            kind="account_token" if token.account_id else "token",
            id=token.id,
            user_id=token.user_id,
            email=user.email if user else "",
            grants=compiled.grants,
            account_id=token.account_id,
            networks=compiled.networks,
            not_before=token.not_before or 0,
            expires_on=token.expires_on,
        )
        if not principal.is_current():
            raise NightsafeError(Code.UNKNOWN_TOKEN, f"token {token.id} is not yet valid, or expired")
        return principal

    async def _principal_of_user(self, kind: str, user: User) -> Principal:
        """A user in person: all about themselves, and in each account what their membership says."""
        policies = [msgspec.structs.replace(allowing(USER_RESOURCE + user.id, ALL_ACCESS), id="self")]
        for membership in await self._store.memberships(user.id):
            policies += (
                _of_membership(policy, membership.account_id) for policy in parse_policies(membership.policies)
            )
        return Principal(kind=kind, id=user.id, user_id=user.id, email=user.email, grants=Grants(policies))

    def _forget_if_changed(self) -> None:
        """Forget everything once anything was committed."""
        generation = self._store.generation()
        if generation != self._generation:
            self._tokens.clear()
            self._weight = 0
            self._generation = generation

    def _remember(self, token: Token, principal: Principal) -> None:
        """Keep the principal of a token, if there is room."""
        if self._weight < _MAX_WEIGHT:
            self._weight += weight_of(token)
            self._tokens[token.digest] = principal


def grants_of(token: Token) -> Grants:
    """What a token may do while it is active: one that an account owns, in that account only."""
    return compiled_token(token).grants


def _of_membership(policy: Policy, account_id: str) -> Policy:
    """A membership's policy: it speaks of its account alone, and says in the log where it comes from."""
    return msgspec.structs.replace(confine(policy, account_id), id=f"membership {account_id} {policy.id}")
