"""The reads of tokens, users, memberships and accounts, in SQL. A row counts only if it has its MAC."""

from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any, Final, TypeVar

from nightsafe.store.built_rows import build
from nightsafe.store.identities import Account, Membership, Token, User
from nightsafe.store.identity_macs import IdentityMacs
from nightsafe.store.postgres.engine.reader import LookUps, Reader
from nightsafe.store.turns import in_turns

_ISSUED: Final = """
t.id, t.digest, t.user_id, t.name, t.status, t.policies, t.issued_on, t.modified_on, t.not_before, t.expires_on,
  t.account_id, t.condition, t.mac
"""
_USER: Final = "u.id, u.email, u.key_digest, u.created_on, u.service_key_digest, u.mac"
_ACCOUNT: Final = "a.id, a.name, a.created_on, a.mac"
TOKENS: Final = f"""
SELECT k.n, {_ISSUED} FROM unnest($1::bigint[], $2::bytea[]) AS k(n, digest) JOIN tokens t ON t.digest = k.digest
"""  # noqa: S608 - our own SQL
USERS: Final = f"""
SELECT k.n, {_USER} FROM unnest($1::bigint[], $2::text[]) AS k(n, id) JOIN users u ON u.id = k.id
"""  # noqa: S608 - our own SQL
ACCOUNTS: Final = f"""
SELECT k.n, {_ACCOUNT} FROM unnest($1::bigint[], $2::text[]) AS k(n, id) JOIN accounts a ON a.id = k.id
"""  # noqa: S608 - our own SQL
_BY_TOKEN_ID: Final = f"SELECT {_ISSUED} FROM tokens t WHERE id = $1"  # noqa: S608 - our own SQL
_OF_USER: Final = f"SELECT {_ISSUED} FROM tokens t WHERE account_id = '' AND user_id = $1"  # noqa: S608 - our own SQL
_OF_ACCOUNT: Final = f"SELECT {_ISSUED} FROM tokens t WHERE account_id = $1 AND account_id <> ''"  # noqa: S608 - our own SQL
_USER_BY_EMAIL: Final = f"SELECT {_USER} FROM users u WHERE email_folded = $1"  # noqa: S608 - our own SQL
_USER_BY_SERVICE_KEY: Final = f"SELECT {_USER} FROM users u WHERE service_key_digest = $1"  # noqa: S608 - our own SQL
_MEMBERSHIPS: Final = """
SELECT account_id, user_id, policies, created_on, mac FROM memberships WHERE user_id = $1 ORDER BY account_id
"""
_MEMBERS: Final = """
SELECT account_id, user_id, policies, created_on, mac FROM memberships WHERE account_id = $1
ORDER BY created_on, user_id
"""
_ACCOUNTS: Final = f"SELECT {_ACCOUNT} FROM accounts a ORDER BY created_on, id"  # noqa: S608 - our own SQL

_Identity = TypeVar("_Identity", Account, User, Membership, Token)


class IdentityReads:
    """The part of `Store` that reads identities."""

    _reader: Reader
    _macs: IdentityMacs
    _tokens: LookUps
    _users: LookUps
    _accounts: LookUps

    async def token(self, digest: bytes) -> Token | None:
        """See `Store.token`."""
        return self._admitted(Token, await self._tokens.find(digest))

    async def token_by_id(self, token_id: str) -> Token | None:
        """See `Store.token_by_id`."""
        return self._admitted(Token, await self._reader.one(_BY_TOKEN_ID, token_id))

    async def tokens_of_user(self, user_id: str) -> list[Token]:
        """See `Store.tokens_of_user`."""
        return await self._issued(_OF_USER, user_id)

    async def tokens_of_account(self, account_id: str) -> list[Token]:
        """See `Store.tokens_of_account`."""
        return await self._issued(_OF_ACCOUNT, account_id)

    async def user(self, user_id: str) -> User | None:
        """See `Store.user`."""
        return self._admitted(User, await self._users.find(user_id))

    async def user_by_email(self, email: str) -> User | None:
        """See `Store.user_by_email`."""
        return self._admitted(User, await self._reader.one(_USER_BY_EMAIL, email.casefold()))

    async def user_by_service_key(self, digest: bytes) -> User | None:
        """See `Store.user_by_service_key`."""
        return self._admitted(User, await self._reader.one(_USER_BY_SERVICE_KEY, digest))

    async def memberships(self, user_id: str) -> list[Membership]:
        """See `Store.memberships`."""
        return [*self._all_admitted(Membership, await self._reader.all(_MEMBERSHIPS, user_id))]

    async def members(self, account_id: str) -> list[Membership]:
        """See `Store.members`."""
        return [*self._all_admitted(Membership, await self._reader.all(_MEMBERS, account_id))]

    async def account(self, account_id: str) -> Account | None:
        """See `Store.account`."""
        return self._admitted(Account, await self._accounts.find(account_id))

    async def accounts(self) -> list[Account]:
        """See `Store.accounts`."""
        return [*self._all_admitted(Account, await self._reader.all(_ACCOUNTS))]

    async def _issued(self, sql: str, owner: str) -> list[Token]:
        """Return an owner's tokens, oldest first."""
        rows = await self._reader.all(sql, owner)
        tokens = [self._admitted(Token, row) async for row in in_turns(rows)]
        return sorted((token for token in tokens if token is not None), key=attrgetter("issued_on", "id"))

    def _admitted(self, kind: type[_Identity], row: Sequence[Any] | None) -> _Identity | None:
        """Return the identity of a row, whose last column is its MAC, if it has the right one."""
        if row is None:
            return None
        *values, mac = row
        identity = build(kind, values)
        return identity if self._macs.admits(identity, mac) else None

    def _all_admitted(self, kind: type[_Identity], rows: Iterable[Sequence[Any]]) -> Iterator[_Identity]:
        """Yield the identities of the rows that have their MACs."""
        for row in rows:
            identity = self._admitted(kind, row)
            if identity is not None:
                yield identity
