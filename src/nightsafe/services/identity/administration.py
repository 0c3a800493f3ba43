"""Creates accounts with an owner, users, and API tokens for an operator at the machine.

Each function passes new credentials to `show` before it stores anything. Credentials are never stored, so a
credential that could not be shown must not become valid: if `show` raises, nothing is stored.
"""

import uuid
from collections.abc import Callable, Iterable
from typing import Literal

from msgspec import Struct

from nightsafe.audit.entry import AuditEvent, entry_for
from nightsafe.identity.conditions import Condition, encode_condition
from nightsafe.identity.credentials import digest, new_key, new_service_key, new_token
from nightsafe.identity.permissions import ALL_ACCESS
from nightsafe.identity.policy import (
    ACCOUNT_RESOURCE,
    USER_RESOURCE,
    Policy,
    allow_policy,
    check_policies,
    encode_policies,
    policies_for,
)
from nightsafe.services.caller import now
from nightsafe.store.changes import AuditEntry, Change
from nightsafe.store.identities import Account, Identity, Membership, Token, User
from nightsafe.store.interface import Store

_ANYWHERE = Condition()


class Credentials(Struct, frozen=True):
    """The credentials of a new account, shown once and stored nowhere; `api_key` is "" if the user existed before."""

    account_id: str
    api_token: str
    email: str
    api_key: str

    def __repr__(self) -> str:
        """Return the ID alone, without any credential."""
        return f"Credentials(account_id={self.account_id!r}, hidden)"


class UserCredentials(Struct, frozen=True):
    """The credentials of a new user, shown once and stored nowhere; `service_key` is "" if none was requested."""

    user_id: str
    email: str
    api_key: str
    service_key: str

    def __repr__(self) -> str:
        """Return the ID alone, without any credential."""
        return f"UserCredentials(user_id={self.user_id!r}, hidden)"


class IssuedToken(Struct, frozen=True):
    """A new token. Its value is shown once and stored nowhere."""

    id: str
    token: str

    def __repr__(self) -> str:
        """Return the ID alone, without any credential."""
        return f"IssuedToken(id={self.id!r}, hidden)"


def show_nothing(_: object) -> None:
    """Show nothing; for callers that handle the returned credentials themselves."""


async def create_account(
    store: Store, account_id: str, name: str, email: str, show: Callable[[Credentials], None] = show_nothing
) -> Credentials:
    """Create an account, its owner with a Global API key, and a token with all access to the account and its owner.

    If a user with this e-mail address exists, that user becomes the owner and keeps the key. Otherwise a user is
    created.

    Raises:
        NightsafeError: STORE.
    """
    at, key, token = now(), "", new_token()
    user = await store.user_by_email(email)
    rows: tuple[Identity, ...] = ()
    if user is None:
        key = new_key()
        user = User(uuid.uuid4().hex, email, digest(key), at)
        rows = (user,)
    policies = encode_policies(all_access(account_id, user.id))
    rows = (
        Account(account_id, name, at),
        *rows,
        Membership(account_id, user.id, policies_for(account_id, ALL_ACCESS), at),
        _token(token, user.id, "owner", policies, at),
    )
    credentials = Credentials(account_id, token, user.email, key)
    show(credentials)
    await _write(store, "accounts.create", account_id, account_id, user.id, at, rows)
    return credentials


async def create_user(
    store: Store,
    email: str,
    show: Callable[[UserCredentials], None] = show_nothing,
    *,
    with_service_key: bool = False,
) -> UserCredentials:
    """Create a user with a Global API key. The user is not a member of any account yet.

    Raises:
        NightsafeError: INVALID, if a user with this e-mail address exists; STORE.
    """
    at, key, service_key = now(), new_key(), new_service_key() if with_service_key else ""
    user = User(uuid.uuid4().hex, email, digest(key), at, digest(service_key) if service_key else None)
    credentials = UserCredentials(user.id, email, key, service_key)
    show(credentials)
    await _write(store, "users.create", "", user.id, user.id, at, (user,))
    return credentials


async def issue_token(  # noqa: PLR0913 - a token has many fields
    store: Store,
    account_id: str,
    user_id: str,
    name: str,
    show: Callable[[IssuedToken], None] = show_nothing,
    *,
    policies: Iterable[Policy] | None = None,
    condition: Condition = _ANYWHERE,
    not_before: int | None = None,
    expires_on: int | None = None,
    owner: Literal["user", "account"] = "user",
) -> IssuedToken:
    """Create a token.

    Args:
        store: the store.
        account_id: the account that owns the token, or whose log records it.
        user_id: the user who owns the token, or who creates it for the account.
        name: the token's name.
        show: receives the token before it becomes valid.
        policies: its policies; all access to the account by default.
        condition: the addresses that it may be used from.
        not_before: the start of its validity, in microseconds, or None.
        expires_on: its expiry, in microseconds, or None for no expiry.
        owner: whether the user or the account owns the token.

    Raises:
        NightsafeError: INVALID, for policies that exceed a limit or have unknown names; STORE.
    """
    at, token = now(), new_token()
    granted = [allow_policy(ACCOUNT_RESOURCE + account_id, ALL_ACCESS)] if policies is None else list(policies)
    check_policies(granted)
    row = _token(
        token,
        user_id,
        name,
        encode_policies(granted),
        at,
        condition=encode_condition(condition),
        not_before=not_before,
        expires_on=expires_on,
        account_id=account_id if owner == "account" else "",
    )
    issued = IssuedToken(row.id, token)
    show(issued)
    await _write(store, "tokens.create", account_id, row.id, "" if row.account_id else user_id, at, (row,))
    return issued


def all_access(account_id: str, user_id: str) -> list[Policy]:
    """Return policies with all access to an account and to its owner's user."""
    resources = [ACCOUNT_RESOURCE + account_id, USER_RESOURCE + user_id]
    return [allow_policy(resource, ALL_ACCESS) for resource in resources]


def _token(  # noqa: PLR0913 - a row has many columns
    token: str,
    user_id: str,
    name: str,
    policies: bytes,
    at: int,
    *,
    condition: bytes = b"{}",
    not_before: int | None = None,
    expires_on: int | None = None,
    account_id: str = "",
) -> Token:
    """Return the row of a new token."""
    return Token(
        id=uuid.uuid4().hex,
        digest=digest(token),
        user_id=user_id,
        name=name,
        status="active",
        policies=policies,
        issued_on=at,
        modified_on=at,
        not_before=not_before,
        expires_on=expires_on,
        account_id=account_id,
        condition=condition,
    )


async def _write(  # noqa: PLR0913, PLR0917 - a log entry has many fields
    store: Store, action: str, account_id: str, resource: str, user_id: str, at: int, rows: tuple[Identity, ...]
) -> None:
    """Commit rows together with their log entry."""
    entry = operator_entry(action, account_id, resource, user_id, at)
    await store.commit(Change(at=at, audit=entry, put=rows))


def operator_entry(action: str, account_id: str, resource: str, user_id: str, at: int) -> AuditEntry:
    """Return the log entry of something that the operator does at the machine.

    Args:
        action: its name, such as `tokens.create`.
        account_id: the account that it is about; "" for none.
        resource: the id or name of what it is about.
        user_id: the user that it is about; "" for none.
        at: its time in microseconds since 1970 UTC.
    """
    event = AuditEvent(
        at=at,
        action=action,
        actor="",
        actor_kind="operator",
        account_id=account_id,
        resource=resource,
        user_id=user_id,
    )
    return entry_for(event)
