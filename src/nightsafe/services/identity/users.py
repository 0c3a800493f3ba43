"""What a caller may know of itself: its user, the accounts it may touch, the user's memberships.

Source: `user`, `accounts` and `memberships` in the Cloudflare v4 API's specification.
"""

from collections.abc import Sequence

from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.permissions import Action
from nightsafe.identity.service import Principal, may
from nightsafe.store.identities import Account, Membership, User
from nightsafe.store.interface import Store


class Users:
    """The use cases."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def user(self, principal: Principal) -> User:
        """The user behind a principal.

        Raises:
            NightsafeError: NOT_AUTHORIZED, when there is none any more.
        """
        user = await self._store.user(principal.user_id)
        if user is None:
            raise NightsafeError(Code.NOT_AUTHORIZED, f"there is no user {principal.user_id}")
        return user

    async def accounts(self, principal: Principal) -> Sequence[Account]:
        """The accounts in which a principal may do anything at all, oldest first."""
        return [account for account in await self._store.accounts() if principal.grants.sees(account.id)]

    async def account(self, account_id: str) -> Account:
        """One account, which the caller may read.

        Raises:
            NightsafeError: NOT_PERMITTED, when it is not there.
        """
        account = await self._store.account(account_id)
        if account is None:
            raise NightsafeError(Code.NOT_PERMITTED, f"there is no account {account_id}")
        return account

    async def memberships(self, principal: Principal) -> Sequence[tuple[Membership, Account]]:
        """The accounts that a principal's user belongs to, by account id.

        Raises:
            NightsafeError: AUTHENTICATION_FAILED, for the token of an account; NOT_PERMITTED, when it may not ask.
                On these two clients go by the accounts instead.
        """
        if principal.kind == "account_token":
            raise NightsafeError(Code.AUTHENTICATION_FAILED, f"token {principal.id} is an account's")
        if not may(principal, Action.READ_MEMBERSHIPS, principal.user()):
            raise NightsafeError(
                Code.NOT_PERMITTED, f"memberships are not granted to {principal.kind} {principal.id}"
            )
        memberships = await self._store.memberships(principal.user_id)
        found = [(one, await self._store.account(one.account_id)) for one in memberships]
        return [(one, account) for one, account in found if account is not None]
