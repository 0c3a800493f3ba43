"""The reads of tokens, users, memberships and accounts, in SQL.

A row counts only if it has its MAC, and if it is one that was asked for: an index of an altered file may lead to
another.
"""

from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Any, TypeVar

from nightsafe.store.built_rows import build
from nightsafe.store.identities import Account, Membership, Token, User
from nightsafe.store.identity_macs import IdentityMacs
from nightsafe.store.sqlite.engine.reader import Reader
from nightsafe.store.turns import PART, turn

_ISSUED = """
SELECT id, digest, user_id, name, status, policies, issued_on, modified_on, not_before, expires_on,
  account_id, condition, mac
FROM tokens WHERE
"""
_BY_DIGEST = f"{_ISSUED} digest = ?"
_BY_TOKEN_ID = f"{_ISSUED} id = ?"
_NEXT_ISSUED = "(user_id, issued_on, id) > (?, ?, ?) ORDER BY user_id, issued_on, id LIMIT ?"
_OF_USER = f"{_ISSUED} account_id = '' AND user_id = ? AND {_NEXT_ISSUED}"
_OF_ACCOUNT = f"{_ISSUED} account_id = ? AND account_id <> '' AND {_NEXT_ISSUED}"
_USER = "SELECT id, email, key_digest, created_on, service_key_digest, mac FROM users WHERE"
_USER_BY_ID = f"{_USER} id = ?"
_USER_BY_EMAIL = f"{_USER} email_folded = ?"
_USER_BY_SERVICE_KEY = f"{_USER} service_key_digest = ?"
_MEMBERSHIPS = """
SELECT account_id, user_id, policies, created_on, mac FROM memberships WHERE user_id = ? ORDER BY account_id
"""
_MEMBERS = """
SELECT account_id, user_id, policies, created_on, mac FROM memberships WHERE account_id = ?
ORDER BY created_on, user_id
"""
_ACCOUNT = "SELECT id, name, created_on, mac FROM accounts WHERE id = ?"
_ACCOUNTS = "SELECT id, name, created_on, mac FROM accounts ORDER BY created_on, id"

_Identity = TypeVar("_Identity", Account, User, Membership, Token)


class IdentityReads:
    """The part of `Store` that reads identities."""

    _reader: Reader
    _macs: IdentityMacs

    async def token(self, digest: bytes) -> Token | None:
        """See `Store.token`."""
        token = self._one(Token, _BY_DIGEST, digest)
        return token if token is not None and token.digest == digest else None

    async def token_by_id(self, token_id: str) -> Token | None:
        """See `Store.token_by_id`."""
        token = self._one(Token, _BY_TOKEN_ID, token_id)
        return token if token is not None and token.id == token_id else None

    async def tokens_of_user(self, user_id: str) -> list[Token]:
        """See `Store.tokens_of_user`."""
        tokens = await self._issued(_OF_USER, user_id)
        return [token for token in tokens if (token.account_id, token.user_id) == ("", user_id)]

    async def tokens_of_account(self, account_id: str) -> list[Token]:
        """See `Store.tokens_of_account`."""
        return [token for token in await self._issued(_OF_ACCOUNT, account_id) if token.account_id == account_id]

    async def _issued(self, sql: str, owner: str) -> list[Token]:
        """Return an owner's tokens, oldest first: read in parts in the index's order, then sorted."""
        tokens, after = list[Token](), ("", -1, "")
        while rows := self._reader.all(sql, (owner, *after, PART)):
            tokens += self._admitted(Token, rows)
            if len(rows) < PART:
                break
            last = build(Token, rows[-1][:-1])
            after = last.user_id, last.issued_on, last.id
            await turn()
        return sorted(tokens, key=attrgetter("issued_on", "id"))

    async def user(self, user_id: str) -> User | None:
        """See `Store.user`."""
        user = self._one(User, _USER_BY_ID, user_id)
        return user if user is not None and user.id == user_id else None

    async def user_by_email(self, email: str) -> User | None:
        """See `Store.user_by_email`."""
        folded = email.casefold()
        user = self._one(User, _USER_BY_EMAIL, folded)
        return user if user is not None and user.email.casefold() == folded else None

    async def user_by_service_key(self, digest: bytes) -> User | None:
        """See `Store.user_by_service_key`."""
        user = self._one(User, _USER_BY_SERVICE_KEY, digest)
        return user if user is not None and user.service_key_digest == digest else None

    async def memberships(self, user_id: str) -> list[Membership]:
        """See `Store.memberships`."""
        rows = self._admitted(Membership, self._reader.all(_MEMBERSHIPS, (user_id,)))
        return [membership for membership in rows if membership.user_id == user_id]

    async def members(self, account_id: str) -> list[Membership]:
        """See `Store.members`."""
        rows = self._admitted(Membership, self._reader.all(_MEMBERS, (account_id,)))
        return [membership for membership in rows if membership.account_id == account_id]

    async def account(self, account_id: str) -> Account | None:
        """See `Store.account`."""
        account = self._one(Account, _ACCOUNT, account_id)
        return account if account is not None and account.id == account_id else None

    async def accounts(self) -> list[Account]:
        """See `Store.accounts`."""
        return list(self._admitted(Account, self._reader.all(_ACCOUNTS)))

    def _one(self, kind: type[_Identity], sql: str, parameter: str | bytes) -> _Identity | None:
        """Return the identity that a statement finds, if its row has its MAC."""
        row = self._reader.one(sql, (parameter,))
        return None if row is None else next(self._admitted(kind, (row,)), None)

    def _admitted(self, kind: type[_Identity], rows: Sequence[Sequence[Any]]) -> Iterator[_Identity]:
        """Yield the identities of the rows that have their MACs, which are the last column."""
        for *values, mac in rows:
            identity = build(kind, values)
            if self._macs.admits(identity, mac):
                yield identity
