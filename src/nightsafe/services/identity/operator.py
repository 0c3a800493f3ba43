"""Finds, rolls and revokes tokens, adds members, and handles refused rows, for an operator at the machine.

An operator needs no permission, unlike a caller of the API. The log names the actor kind `operator`.
"""

from collections.abc import Callable, Sequence

import msgspec
from msgspec.structs import replace

from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.compiled import compiled_token
from nightsafe.identity.credentials import digest, new_token
from nightsafe.identity.policy import parse_policies, policies_for
from nightsafe.services.caller import now
from nightsafe.services.identity.administration import IssuedToken, operator_entry, show_nothing
from nightsafe.store.changes import Change
from nightsafe.store.identities import Account, Identity, Membership, RefusedRow, Token, User
from nightsafe.store.interface import Store


async def find_account(store: Store, account_id: str | None) -> Account:
    """Return the account with this ID, or the oldest account if no ID is given.

    Raises:
        NightsafeError: INVALID, if it does not exist.
    """
    account = next((account for account in await store.accounts() if account_id in {None, account.id}), None)
    if account is None:
        problem = f"no such account {account_id}" if account_id else "there is no account"
        raise NightsafeError(Code.INVALID, f"{problem}; see: nightsafe account list")
    return account


async def find_member(store: Store, account: Account, email: str | None) -> User:
    """Return the member of an account with this e-mail address, or the longest-standing member if none is given.

    Raises:
        NightsafeError: INVALID, if there is no such member.
    """
    for membership in await store.members(account.id):
        user = await store.user(membership.user_id)
        if user is not None and email in {None, user.email}:
            return user
    problem = f"{email} is not a member of account {account.id}" if email else f"account {account.id} has no member"
    raise NightsafeError(Code.INVALID, f"{problem}; make one with: nightsafe user create --account-id {account.id}")


async def tokens_of_account_and_members(store: Store, account: Account) -> Sequence[Token]:
    """Return the tokens of an account and of its members, oldest first."""
    tokens = {token.id: token for token in await store.tokens_of_account(account.id)}
    for membership in await store.members(account.id):
        tokens |= {token.id: token for token in await store.tokens_of_user(membership.user_id)}
    return sorted(tokens.values(), key=lambda token: (token.issued_on, token.id))


async def all_tokens(store: Store) -> Sequence[Token]:
    """Return the tokens of all accounts and of their members, oldest first."""
    tokens = {
        token.id: token
        for account in await store.accounts()
        for token in await tokens_of_account_and_members(store, account)
    }
    return sorted(tokens.values(), key=lambda token: (token.issued_on, token.id))


async def roll_token(store: Store, token_id: str, show: Callable[[IssuedToken], None] = show_nothing) -> IssuedToken:
    """Give a token a new value. The new value is shown once, before the old one stops working.

    Fail if the token has changed since it was read, so that a token revoked in the meantime stays revoked.

    Raises:
        NightsafeError: INVALID, if no token has this ID; UNAVAILABLE, if it changed in the meantime; STORE.
    """
    token, value, at = await find_token(store, token_id), new_token(), now()
    rolled = replace(token, digest=digest(value), modified_on=at)
    issued = IssuedToken(token.id, value)
    show(issued)
    await _write(
        store, "tokens.roll", token.account_id, token.id, _user_of(token), at, put=(rolled,), unchanged=(token,)
    )
    return issued


async def revoke_token(store: Store, token_id: str) -> None:
    """Delete a token.

    Raises:
        NightsafeError: INVALID, if no token has this ID; STORE.
    """
    token = await find_token(store, token_id)
    await _write(store, "tokens.delete", token.account_id, token.id, _user_of(token), now(), drop_tokens=(token.id,))


async def add_member(store: Store, user_id: str, account_id: str, groups: Sequence[str]) -> None:
    """Make a user a member of an account; these permission groups apply to the user's key there.

    Raises:
        NightsafeError: STORE.
    """
    at = now()
    membership = Membership(account_id, user_id, policies_for(account_id, *groups), at)
    await _write(store, "memberships.create", account_id, user_id, user_id, at, put=(membership,))


async def accept_rows(store: Store, rows: Sequence[RefusedRow]) -> None:
    """Accept rows that did not count: write the identities exactly as they are given here.

    Raises:
        NightsafeError: INVALID, if one has policies or a condition that cannot be read, or belongs to no identity.
    """
    identities = [_readable(row) for row in rows]
    await _write(store, "identities.accept", "", _names(rows), "", now(), put=tuple(identities))


async def delete_rows(store: Store, rows: Sequence[RefusedRow]) -> None:
    """Delete rows that do not count, except those that have been written again meanwhile.

    Raises:
        NightsafeError: STORE.
    """
    await _write(store, "identities.delete", "", _names(rows), "", now(), drop_refused=tuple(rows))


def _readable(row: RefusedRow) -> Identity:
    """Return the identity of a row; refuse one that would only cause failures later.

    Raises:
        NightsafeError: INVALID.
    """
    identity = row.identity
    try:
        if isinstance(identity, Token):
            compiled_token(identity)
        elif isinstance(identity, Membership):
            parse_policies(identity.policies)
    except (NightsafeError, ValueError, msgspec.MsgspecError):
        identity = None
    if identity is None:
        raise NightsafeError(
            Code.INVALID,
            f"the row {row.name} of {row.table} is malformed and cannot be accepted; delete it with: "
            "nightsafe token refused-rows --delete",
        )
    return identity


def _names(rows: Sequence[RefusedRow]) -> str:
    """Return the tables and names of rows, for the log."""
    return ", ".join(f"{row.table} {row.name}" for row in rows)


async def find_token(store: Store, token_id: str) -> Token:
    """Return the token with this ID.

    Raises:
        NightsafeError: INVALID, if no token has this ID.
    """
    for token in await all_tokens(store):
        if token.id == token_id:
            return token
    raise NightsafeError(Code.INVALID, f"no such token: {token_id}; see: nightsafe token list")


def _user_of(token: Token) -> str:
    """Return the ID of the user who owns a token, or "" if an account owns it."""
    return "" if token.account_id else token.user_id


async def _write(  # noqa: PLR0913, PLR0917 - a log entry has many fields
    store: Store,
    action: str,
    account_id: str,
    resource: str,
    user_id: str,
    at: int,
    *,
    put: tuple[Identity, ...] = (),
    drop_tokens: tuple[str, ...] = (),
    drop_refused: tuple[RefusedRow, ...] = (),
    unchanged: tuple[Token, ...] = (),
) -> None:
    """Commit rows together with their log entry."""
    entry = operator_entry(action, account_id, resource, user_id, at)
    change = Change(at=at, audit=entry, put=put, drop_tokens=drop_tokens, unchanged=unchanged)
    await store.commit(replace(change, drop_refused=drop_refused))
