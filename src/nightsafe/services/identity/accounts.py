"""Reads the accounts that a caller has access to.

Source: `accounts` in the Cloudflare v4 API's specification.
"""

from collections.abc import Sequence

from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.service import Principal
from nightsafe.store.identities import Account
from nightsafe.store.interface import Store


class Accounts:
    """The use cases of accounts."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def list(self, principal: Principal) -> Sequence[Account]:
        """Return the accounts in which a principal has any permission, oldest first."""
        return [account for account in await self._store.accounts() if principal.grants.has_access_to(account.id)]

    async def get(self, account_id: str) -> Account:
        """Return one account. The caller must have the permission to read it.

        Raises:
            NightsafeError: NOT_PERMITTED, if it does not exist.
        """
        account = await self._store.account(account_id)
        if account is None:
            raise NightsafeError(Code.NOT_PERMITTED, f"no such account: {account_id}")
        return account
