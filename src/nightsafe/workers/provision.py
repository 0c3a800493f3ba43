"""What an operator at the machine does: accounts with their owner, and API tokens."""

import uuid

from msgspec import Struct

from nightsafe.audit.entry import Deed, entry_for
from nightsafe.identity.credentials import digest, new_key, new_token
from nightsafe.identity.policy import ALL_ACCESS, policies_for
from nightsafe.store.interfaces import Store
from nightsafe.store.model import Account, Change, Identity, Membership, Token, User
from nightsafe.workers.caller import now

_SECOND = 1_000_000


class Credentials(Struct, frozen=True):
    """What is shown once and kept nowhere."""

    account_id: str
    api_token: str
    email: str
    api_key: str

    def __repr__(self) -> str:
        """No credential in it."""
        return f"Credentials(account_id={self.account_id!r}, hidden)"


async def create_account(store: Store, account_id: str, name: str, email: str) -> Credentials:
    """An account, its owner with a Global API key, and a token for all that can be done in it.

    Raises:
        NightsafeError: STORE.
    """
    at, key, token = now(), new_key(), new_token()
    policies = policies_for(account_id, ALL_ACCESS)
    user = User(uuid.uuid4().hex, email, digest(key), at)
    rows = (
        Account(account_id, name, at),
        user,
        Membership(account_id, user.id, policies, at),
        _token(token, user.id, "owner", policies, at, None),
    )
    await _write(store, "accounts.create", account_id, at, rows)
    return Credentials(account_id, token, email, key)


async def create_token(store: Store, account_id: str, user_id: str, name: str, seconds: int | None) -> str:
    """A token for all that can be done in an account.

    Args:
        store: where it goes.
        account_id: the account.
        user_id: on whose behalf it acts.
        name: what to call it.
        seconds: how long it is valid, or None for ever.

    Raises:
        NightsafeError: STORE.
    """
    at, token = now(), new_token()
    expires_on = None if seconds is None else at + seconds * _SECOND
    row = _token(token, user_id, name, policies_for(account_id, ALL_ACCESS), at, expires_on)
    await _write(store, "tokens.create", account_id, at, (row,))
    return token


def _token(  # noqa: PLR0913, PLR0917 - a row has many columns
    token: str, user_id: str, name: str, policies: bytes, at: int, expires_on: int | None
) -> Token:
    """The row of a new token."""
    return Token(
        id=uuid.uuid4().hex,
        digest=digest(token),
        user_id=user_id,
        name=name,
        status="active",
        policies=policies,
        issued_on=at,
        modified_on=at,
        expires_on=expires_on,
    )


async def _write(store: Store, action: str, account_id: str, at: int, rows: tuple[Identity, ...]) -> None:
    """Commit rows with their log entry."""
    deed = Deed(at=at, action=action, actor="", actor_kind="operator", account_id=account_id)
    await store.commit(Change(at=at, audit=entry_for(deed), put=rows))
