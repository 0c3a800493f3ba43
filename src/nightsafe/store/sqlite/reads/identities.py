"""The reads of tokens, users, memberships and accounts, in SQL."""

from operator import attrgetter

from nightsafe.store.identities import Account, Membership, Token, User
from nightsafe.store.sqlite.engine.reader import Reader
from nightsafe.store.sqlite.reads.rows import build
from nightsafe.store.turns import PART, turn

_ISSUED = """
SELECT id, digest, user_id, name, status, policies, issued_on, modified_on, not_before, expires_on,
  account_id, condition
FROM tokens WHERE
"""
_BY_DIGEST = f"{_ISSUED} digest = ?"
_BY_TOKEN_ID = f"{_ISSUED} id = ?"
_NEXT_ISSUED = "(user_id, issued_on, id) > (?, ?, ?) ORDER BY user_id, issued_on, id LIMIT ?"
_OF_USER = f"{_ISSUED} account_id = '' AND user_id = ? AND {_NEXT_ISSUED}"
_OF_ACCOUNT = f"{_ISSUED} account_id = ? AND account_id <> '' AND {_NEXT_ISSUED}"
_USER = "SELECT id, email, key_digest, created_on, service_key_digest FROM users WHERE"
_USER_BY_ID = f"{_USER} id = ?"
_USER_BY_EMAIL = f"{_USER} email_folded = ?"
_USER_BY_SERVICE_KEY = f"{_USER} service_key_digest = ?"
_MEMBERSHIPS = """
SELECT account_id, user_id, policies, created_on FROM memberships WHERE user_id = ? ORDER BY account_id
"""
_MEMBERS = """
SELECT account_id, user_id, policies, created_on FROM memberships WHERE account_id = ? ORDER BY created_on, user_id
"""
_ACCOUNT = "SELECT id, name, created_on FROM accounts WHERE id = ?"
_ACCOUNTS = "SELECT id, name, created_on FROM accounts ORDER BY created_on, id"


class IdentityReads:
    """The part of `Store` that reads identities."""

    _reader: Reader

    async def token(self, digest: bytes) -> Token | None:
        """See `Store.token`."""
        row = self._reader.one(_BY_DIGEST, (digest,))
        return None if row is None else build(Token, row)

    async def token_by_id(self, token_id: str) -> Token | None:
        """See `Store.token_by_id`."""
        row = self._reader.one(_BY_TOKEN_ID, (token_id,))
        return None if row is None else build(Token, row)

    async def tokens_of_user(self, user_id: str) -> list[Token]:
        """See `Store.tokens_of_user`."""
        return await self._issued(_OF_USER, user_id)

    async def tokens_of_account(self, account_id: str) -> list[Token]:
        """See `Store.tokens_of_account`."""
        return await self._issued(_OF_ACCOUNT, account_id)

    async def _issued(self, sql: str, owner: str) -> list[Token]:
        """Return an owner's tokens, oldest first: read in parts in the index's order, then sorted."""
        tokens, after = list[Token](), ("", -1, "")
        while rows := self._reader.all(sql, (owner, *after, PART)):
            tokens += [build(Token, row) for row in rows]
            if len(rows) < PART:
                break
            after = tokens[-1].user_id, tokens[-1].issued_on, tokens[-1].id
            await turn()
        return sorted(tokens, key=attrgetter("issued_on", "id"))

    async def user(self, user_id: str) -> User | None:
        """See `Store.user`."""
        row = self._reader.one(_USER_BY_ID, (user_id,))
        return None if row is None else User(*row)

    async def user_by_email(self, email: str) -> User | None:
        """See `Store.user_by_email`."""
        row = self._reader.one(_USER_BY_EMAIL, (email.casefold(),))
        return None if row is None else User(*row)

    async def user_by_service_key(self, digest: bytes) -> User | None:
        """See `Store.user_by_service_key`."""
        row = self._reader.one(_USER_BY_SERVICE_KEY, (digest,))
        return None if row is None else User(*row)

    async def memberships(self, user_id: str) -> list[Membership]:
        """See `Store.memberships`."""
        return [Membership(*row) for row in self._reader.all(_MEMBERSHIPS, (user_id,))]

    async def members(self, account_id: str) -> list[Membership]:
        """See `Store.members`."""
        return [Membership(*row) for row in self._reader.all(_MEMBERS, (account_id,))]

    async def account(self, account_id: str) -> Account | None:
        """See `Store.account`."""
        row = self._reader.one(_ACCOUNT, (account_id,))
        return None if row is None else Account(*row)

    async def accounts(self) -> list[Account]:
        """See `Store.accounts`."""
        return [Account(*row) for row in self._reader.all(_ACCOUNTS)]
