"""Reads a caller's own user and the user's memberships.

Source: `user` and `memberships` in the Cloudflare v4 API's specification.
"""

from collections.abc import Sequence

from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.permissions import Action
from nightsafe.identity.service import Principal, may
from nightsafe.store.identities import Account, Membership, User
from nightsafe.store.interface import Store


class Users:
    """The use cases of users and memberships."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def user(self, principal: Principal) -> User:
        """Return the user of a principal.

        Raises:
            NightsafeError: NOT_AUTHORIZED, if the user no longer exists.
        """
        user = await self._store.user(principal.user_id)
        if user is None:
            raise NightsafeError(Code.NOT_AUTHORIZED, f"no such user: {principal.user_id}")
        return user

    async def memberships(self, principal: Principal) -> Sequence[tuple[Membership, Account]]:
        """Return the memberships of a principal's user with their accounts, by account ID.

        Clients fall back to the list of accounts on either error.

        Raises:
            NightsafeError: AUTHENTICATION_FAILED, for an account token; NOT_PERMITTED, without the permission.
        """
        if principal.kind == "account_token":
            raise NightsafeError(Code.AUTHENTICATION_FAILED, f"token {principal.id} is an account token")
        if not may(principal, Action.READ_MEMBERSHIPS, principal.user()):
            raise NightsafeError(
                Code.NOT_PERMITTED, f"{principal.kind} {principal.id} has no permission to read memberships"
            )
        memberships = await self._store.memberships(principal.user_id)
        pairs = [(membership, await self._store.account(membership.account_id)) for membership in memberships]
        return [(membership, account) for membership, account in pairs if account is not None]
