"""A temporary account token that a command creates for itself and revokes when it ends."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from nightsafe.errors import NightsafeError

if TYPE_CHECKING:
    from nightsafe.cli.data_directory.directory import DataDirectory
    from nightsafe.store.interface import Store


class TemporaryToken(NamedTuple):
    """A token with its account and ID. Its `repr` hides the token."""

    account_id: str
    id: str
    token: str

    def __repr__(self) -> str:
        """Return a text without the token."""
        return f"OwnToken(id={self.id!r}, hidden)"


@contextlib.contextmanager
def temporary_token(
    directory: "DataDirectory",
    account_id: str | None,
    name: str,
    groups: tuple[str, ...],
    *,
    expires_on: int | None = None,
) -> Iterator[TemporaryToken]:
    """Create a token and revoke it at the end. Tokens that an earlier run left under the same name are revoked too.

    Args:
        directory: data directory of the account.
        account_id: account that owns the token; None for the oldest account.
        name: name of the token; two processes that run at the same time must use different names.
        groups: IDs of its permission groups.
        expires_on: expiry, in microseconds since 1970 UTC, or None.

    Raises:
        NightsafeError: INVALID, if the account does not exist or has no member; STORE.
    """
    token = directory.run(lambda store: _make(store, account_id, name, groups, expires_on))
    try:
        yield token
    finally:
        with contextlib.suppress(NightsafeError):
            directory.run(lambda store: _revoke(store, token.id))


async def _make(
    store: "Store", account_id: str | None, name: str, groups: tuple[str, ...], expires_on: int | None
) -> TemporaryToken:
    """Create the token and revoke those that an earlier run left."""
    from nightsafe.identity.policy import ACCOUNT_RESOURCE, allow_policy
    from nightsafe.services.identity.administration import issue_token, show_nothing
    from nightsafe.services.identity.operator import find_account, find_member, revoke_token

    account = await find_account(store, account_id)
    user = await find_member(store, account, None)
    policies = [allow_policy(ACCOUNT_RESOURCE + account.id, *groups)]
    for existing in await store.tokens_of_account(account.id):
        if existing.name == name:
            await revoke_token(store, existing.id)
    issued = await issue_token(
        store, account.id, user.id, name, show_nothing, policies=policies, owner="account", expires_on=expires_on
    )
    return TemporaryToken(account.id, issued.id, issued.token)


async def _revoke(store: "Store", token_id: str) -> None:
    """Revoke the token."""
    from nightsafe.services.identity.operator import revoke_token

    await revoke_token(store, token_id)
