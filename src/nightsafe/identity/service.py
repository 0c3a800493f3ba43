"""Authentication: turns the credential of a request into a principal, and answers whether the principal may act."""

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
from nightsafe.identity.policy import USER_RESOURCE, Policy, Resource, allow_policy, confine, parse_policies
from nightsafe.store.identities import Token, User
from nightsafe.store.interface import Store

_MAX_WEIGHT = 8 * 1024 * 1024
"""Limit of the token cache, in the bytes that `weight_of` estimates: about 8,000 tokens with one policy each."""

_MOST_SECONDS = 2.0
"""The age of the caches over a store that does not know every commit by itself. The log does not tell of a row that
somebody has deleted by SQL."""


class Principal(Struct, frozen=True, kw_only=True):
    """An authenticated caller.

    Attributes:
        kind: `token`, `account_token`, `key` or `service_key`.
        id: the token's ID, or for a key the user's ID.
        user_id: the user who owns the credential.
        email: that user's e-mail address.
        name: the token's name, or "" for a key.
        grants: its permissions.
        account_id: the account that owns an account token, or "".
        networks: the addresses that it may be used from, or None for every address.
        not_before: the start of its validity, in microseconds, or 0.
        expires_on: the end of its validity, in microseconds, or None.
    """

    kind: str
    id: str
    user_id: str
    email: str
    grants: Grants
    name: str = ""
    account_id: str = ""
    networks: Networks | None = None
    not_before: int = 0
    expires_on: int | None = None

    def is_current(self) -> bool:
        """Return whether the credential is valid now."""
        if self.expires_on is None and not self.not_before:
            return True
        now = time.time_ns() // 1000
        return self.not_before <= now and (self.expires_on is None or now < self.expires_on)

    def may_come_from(self, address: str) -> bool:
        """Return whether the credential may be used from this address."""
        return self.networks is None or self.networks.admit(address)

    def user(self) -> Resource:
        """Return the principal's own user as a resource. An account token acts for no user."""
        return Resource(user_id=self.user_id if self.kind != "account_token" else "-")


def may(principal: Principal, action: Action, resource: Resource) -> bool:
    """Return whether a principal may perform an action on a resource."""
    return principal.grants.allow(action, resource)


class Authenticator:
    """Turns credentials into principals.

    The caches are emptied when the store's generation changes, so that the next request refuses a revoked credential.
    A store that does not know every commit by itself is asked once in each request (`refresh`).
    Credentials are looked up and compared by their SHA-256, never directly, so that the timing does not reveal how
    much of a guess is right.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._generation: object = None
        self._tokens: dict[bytes, Principal] = {}
        self._accounts: set[str] = set()
        self._weight, self._cleared_at = 0, time.monotonic()
        self._compiled = CompiledTokens()

    async def refresh(self) -> None:
        """Empty the caches if a commit, by any process, wrote an identity, and the store does not know it by itself.

        Raises:
            NightsafeError: when the store fails.
        """
        if not self._store.knows_every_commit:
            self._clear_unless(await self._store.identity_generation())

    @property
    def generation(self) -> object:
        """The store's identity generation to which the caches belong."""
        return self._generation

    def cached_principal(self, token: bytes) -> Principal | None:
        """Return the principal of a token that was looked up since the last commit, or None.

        With a store that does not know every commit by itself, it is only valid after a `refresh` in this request.
        """
        self._clear_if_changed()
        principal = self._tokens.get(digest(token))
        return principal if principal is not None and principal.is_current() else None

    async def by_token(self, token: bytes) -> Principal:
        """Return the principal of an API token, owned by a user or by an account.

        Raises:
            NightsafeError: UNKNOWN_TOKEN, if the token does not exist or is not usable now; the detail, for the log,
                says which.
        """
        await self.refresh()
        principal = self.cached_principal(token)
        if principal is not None:
            return principal
        token_digest, generation = digest(token), self._generation
        stored_token = await self._store.token(token_digest)
        if stored_token is None or not hmac.compare_digest(stored_token.digest, token_digest):
            raise NightsafeError(Code.UNKNOWN_TOKEN, "no such token")
        principal = await self._principal_of(stored_token)
        if generation == self._known_generation():
            self._cache(stored_token, principal)
        return principal

    async def by_key(self, email: str, key: bytes) -> Principal:
        """Return the principal of a user's Global API key.

        Raises:
            NightsafeError: UNKNOWN_KEY, if the e-mail address and key do not match a user.
        """
        await self.refresh()
        user = await self._store.user_by_email(email)
        expected_digest = user.key_digest if user is not None else bytes(32)
        if not hmac.compare_digest(expected_digest, digest(key)) or user is None:
            raise NightsafeError(Code.UNKNOWN_KEY, "no such user" if user is None else f"not the key of {user.id}")
        return await self._principal_of_user("key", user)

    async def by_service_key(self, key: bytes) -> Principal:
        """Return the principal of a user's service key.

        Raises:
            NightsafeError: UNKNOWN_SERVICE_KEY, if the key does not exist.
        """
        await self.refresh()
        key_digest = digest(key)
        user = await self._store.user_by_service_key(key_digest)
        expected_digest = (user.service_key_digest if user is not None else None) or bytes(32)
        if not hmac.compare_digest(expected_digest, key_digest) or user is None:
            raise NightsafeError(Code.UNKNOWN_SERVICE_KEY, "no such service key")
        return await self._principal_of_user("service_key", user)

    async def has_account(self, account_id: str) -> bool:
        """Return whether an account exists; to be called after the request's credential was checked."""
        self._clear_if_changed()
        if account_id in self._accounts:
            return True
        generation = self._generation
        exists = await self._store.account(account_id) is not None
        if exists and generation == self._known_generation():
            self._accounts.add(account_id)
        return exists

    async def _principal_of(self, token: Token) -> Principal:
        """Return the principal of a stored token; refuse a token that is inactive or not valid now."""
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
            name=token.name,
            account_id=token.account_id,
            networks=compiled.networks,
            not_before=token.not_before or 0,
            expires_on=token.expires_on,
        )
        if not principal.is_current():
            raise NightsafeError(Code.UNKNOWN_TOKEN, f"token {token.id} is not yet valid, or expired")
        return principal

    async def _principal_of_user(self, kind: str, user: User) -> Principal:
        """Return a user's principal: all access to themselves, and their memberships' policies in accounts."""
        policies = [msgspec.structs.replace(allow_policy(USER_RESOURCE + user.id, ALL_ACCESS), id="self")]
        for membership in await self._store.memberships(user.id):
            policies += (
                _confined_to_membership(policy, membership.account_id)
                for policy in parse_policies(membership.policies)
            )
        return Principal(kind=kind, id=user.id, user_id=user.id, email=user.email, grants=Grants(policies))

    def _clear_if_changed(self) -> None:
        """Empty the caches if the store's generation, as far as it is known here, has changed, or if they are old."""
        self._clear_unless(self._known_generation())
        if not self._store.knows_every_commit and time.monotonic() - self._cleared_at > _MOST_SECONDS:
            self._clear()

    def _known_generation(self) -> object:
        """Return the store's generation, or the one of the last `refresh` if the store does not know every commit."""
        return self._store.generation() if self._store.knows_every_commit else self._generation

    def _clear_unless(self, generation: object) -> None:
        """Empty the caches unless they are of this generation."""
        if generation != self._generation:
            self._clear()
            self._generation = generation

    def _clear(self) -> None:
        """Empty the caches."""
        self._tokens.clear()
        self._accounts.clear()
        self._weight, self._cleared_at = 0, time.monotonic()

    def _cache(self, token: Token, principal: Principal) -> None:
        """Cache the principal of a token, if there is room."""
        if self._weight < _MAX_WEIGHT:
            self._weight += weight_of(token)
            self._tokens[token.digest] = principal


def grants_of(token: Token) -> Grants:
    """Return the grants of a token while it is active; a token that an account owns has them in that account only."""
    return compiled_token(token).grants


def _confined_to_membership(policy: Policy, account_id: str) -> Policy:
    """Return a membership's policy restricted to its account, with an ID that names the membership in the log."""
    return msgspec.structs.replace(confine(policy, account_id), id=f"membership {account_id} {policy.id}")
