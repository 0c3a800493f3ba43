"""Who asks: from the credential of a request to a principal, and whether it may."""

import hmac
import time

from msgspec import Struct

from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.credentials import digest
from nightsafe.identity.policy import Action, Grants, grants_of
from nightsafe.store.interfaces import Store
from nightsafe.store.model import Token

_MAX_CACHED = 10_000


class Principal(Struct, frozen=True, kw_only=True):
    """An authenticated caller.

    Attributes:
        kind: `token` or `key`.
        id: the token's id, or the user's for a Global API key.
        user_id: the user who is behind it.
        email: that user's e-mail.
        grants: what it may do.
        not_before: from when on, in microseconds, or 0.
        expires_on: until when, in microseconds, or None.
    """

    kind: str
    id: str
    user_id: str
    email: str
    grants: Grants
    not_before: int = 0
    expires_on: int | None = None

    def is_current(self) -> bool:
        """Whether now lies in its time."""
        if self.expires_on is None and not self.not_before:
            return True
        now = time.time_ns() // 1000
        return self.not_before <= now and (self.expires_on is None or now < self.expires_on)


def may(principal: Principal, action: Action, account_id: str) -> bool:
    """Whether a principal may do something in an account."""
    grants = principal.grants.get(account_id)
    return grants is not None and action in grants


class Authenticator:
    """Turns credentials into principals.

    What it remembers lives no longer than the store's generation, so that a revoked credential is refused by
    the next request.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._generation: object = None
        self._tokens: dict[bytes, Principal] = {}

    def remembered(self, token: bytes) -> Principal | None:
        """The principal of a token that was looked up since the last commit, or None."""
        self._forget_if_changed()
        principal = self._tokens.get(digest(token))
        return principal if principal is not None and principal.is_current() else None

    async def by_token(self, token: bytes) -> Principal:
        """The principal of an API token.

        Raises:
            NightsafeError: NOT_PERMITTED, when there is no such token or it may not be used now.
        """
        principal = self.remembered(token)
        if principal is not None:
            return principal
        token_digest, generation = digest(token), self._generation
        found = await self._store.token(token_digest)
        if found is None or found.status != "active" or not hmac.compare_digest(found.digest, token_digest):
            raise NightsafeError(Code.NOT_PERMITTED, "unknown or disabled token")
        principal = await self._principal_of(found)
        if generation == self._store.generation() and len(self._tokens) < _MAX_CACHED:
            self._tokens[token_digest] = principal
        return principal

    async def by_key(self, email: str, key: bytes) -> Principal:
        """The principal of a user's Global API key.

        Raises:
            NightsafeError: UNKNOWN_KEY, when the pair is not known.
        """
        user = await self._store.user_by_email(email)
        known = user.key_digest if user is not None else bytes(32)
        if not hmac.compare_digest(known, digest(key)) or user is None:
            raise NightsafeError(Code.UNKNOWN_KEY)
        grants: Grants = {}
        for membership in await self._store.memberships(user.id):
            own = grants_of(membership.policies).get(membership.account_id)
            if own is not None:
                grants[membership.account_id] = own
        return Principal(kind="key", id=user.id, user_id=user.id, email=user.email, grants=grants)

    async def _principal_of(self, token: Token) -> Principal:
        """The principal of a stored token, if now lies in its time."""
        user = await self._store.user(token.user_id)
        principal = Principal(
            kind="token",
            id=token.id,
            user_id=token.user_id,
            email=user.email if user else "",
            grants=grants_of(token.policies),
            not_before=token.not_before or 0,
            expires_on=token.expires_on,
        )
        if not principal.is_current():
            raise NightsafeError(Code.NOT_PERMITTED, "token is not yet valid, or expired")
        return principal

    def _forget_if_changed(self) -> None:
        """Forget everything once anything was committed."""
        generation = self._store.generation()
        if generation != self._generation:
            self._tokens.clear()
            self._generation = generation
