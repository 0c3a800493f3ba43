"""A token that a command makes for itself, of an account and for as long as it runs."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from nightsafe.errors import NightsafeError

if TYPE_CHECKING:
    from nightsafe.cli.data_directory.directory import DataDirectory
    from nightsafe.store.sqlite import SqliteStore


class OwnToken(NamedTuple):
    """A token with what it is of; the token itself is never shown."""

    account_id: str
    id: str
    token: str

    def __repr__(self) -> str:
        """No credential in it."""
        return f"OwnToken(id={self.id!r}, hidden)"


@contextlib.contextmanager
def own_token(
    directory: "DataDirectory",
    account_id: str | None,
    name: str,
    groups: tuple[str, ...],
    *,
    expires_on: int | None = None,
) -> Iterator[OwnToken]:
    """A new token, which is revoked at the end. What an earlier run with the same name has left is revoked, too.

    Args:
        directory: where the account is.
        account_id: whose it is; None for the oldest account's.
        name: what to call it; no two processes that run at once may have one name.
        groups: ids of its permission groups.
        expires_on: until when, in microseconds, or None.

    Raises:
        NightsafeError: INVALID, when there is no such account, or nobody in it; STORE.
    """
    made = directory.run(lambda store: _make(store, account_id, name, groups, expires_on))
    try:
        yield made
    finally:
        with contextlib.suppress(NightsafeError):
            directory.run(lambda store: _revoke(store, made.id))


async def _make(
    store: "SqliteStore", account_id: str | None, name: str, groups: tuple[str, ...], expires_on: int | None
) -> OwnToken:
    """Make it, in place of what an earlier run has left."""
    from nightsafe.identity.policy import ACCOUNT_RESOURCE, allowing  # noqa: PLC0415 - help needs none
    from nightsafe.services.identity.administration import issue_token, to_nobody  # noqa: PLC0415 - the same
    from nightsafe.services.identity.operator import account_of, member_of, revoke_token  # noqa: PLC0415 - the same

    account = await account_of(store, account_id)
    user = await member_of(store, account, None)
    policies = [allowing(ACCOUNT_RESOURCE + account.id, *groups)]
    for left in await store.tokens_of_account(account.id):
        if left.name == name:
            await revoke_token(store, left.id)
    issued = await issue_token(
        store, account.id, user.id, name, to_nobody, policies=policies, owner="account", expires_on=expires_on
    )
    return OwnToken(account.id, issued.id, issued.token)


async def _revoke(store: "SqliteStore", token_id: str) -> None:
    """Let nobody use the token any more."""
    from nightsafe.services.identity.operator import revoke_token  # noqa: PLC0415 - help needs none

    await revoke_token(store, token_id)
