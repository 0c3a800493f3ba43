"""The reads of scripts, identities and the audit log, in SQL."""

from operator import attrgetter

from nightsafe.store.changes import AuditEntry
from nightsafe.store.identities import Account, Membership, Token, User
from nightsafe.store.period import ALWAYS, Period
from nightsafe.store.scripts import Binding, Deployment, Script, ScriptRef, Version
from nightsafe.store.sqlite.engine.reader import Reader
from nightsafe.store.sqlite.reads.collections import CollectionReads
from nightsafe.store.sqlite.reads.history import HistoryReads
from nightsafe.store.sqlite.reads.rows import (
    OF_VERSIONS,
    SCRIPT,
    SCRIPTS,
    VERSION,
    VERSION_BY_ID,
    VERSIONS,
    WITHOUT_NEW_VERSION,
    build,
    deployment_of,
    key_of,
    script_of,
    version_of,
)
from nightsafe.store.turns import PART, turn

_SHOWN = """
SELECT shown FROM bindings
WHERE account_id = ? AND namespace = ? AND script = ? AND name = ? AND sealed IS NOT NULL
"""
_SECRETS = """
SELECT shown FROM bindings
WHERE account_id = ? AND namespace = ? AND script = ? AND sealed IS NOT NULL ORDER BY name
"""
_BINDINGS = """
SELECT name, kind, shown, sealed, key_id FROM bindings
WHERE account_id = ? AND namespace = ? AND script = ? ORDER BY name
"""
_SCRIPT_BY_ID = SCRIPTS + "AND s.id = ?"
_SCRIPTS_AFTER = SCRIPTS + "AND s.name > ? ORDER BY s.name LIMIT ?"
_VERSIONS = VERSIONS + "AND v.number BETWEEN ? AND ? ORDER BY v.number DESC"
_VERSIONS_BETWEEN = VERSIONS + "AND v.id BETWEEN ? AND ? ORDER BY v.number DESC"
_DEPLOYMENT = f"{OF_VERSIONS} AND deployment_id = ? UNION ALL {WITHOUT_NEW_VERSION} AND id = ?"
_COUNT_DEPLOYMENTS = "SELECT deployment_count FROM scripts WHERE account_id = ? AND namespace = ? AND name = ?"
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
_AUDIT = """
SELECT seq, account_id, entry, leaf FROM audit WHERE account_id = ? AND seq > ? ORDER BY seq LIMIT ?
"""


class Reads(HistoryReads, CollectionReads):
    """The reads of `Store` that run on the event loop's thread, because they take only microseconds."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def secret(self, ref: ScriptRef, name: str) -> bytes | None:
        """See `Store.secret`."""
        row = self._reader.one(_SHOWN, (ref.account_id, ref.namespace, ref.name, name))
        return None if row is None else row[0]

    async def secrets(self, ref: ScriptRef) -> list[bytes] | None:
        """See `Store.secrets`."""
        rows = self._reader.all(_SECRETS, key_of(ref))
        if not rows and self._head(ref) is None:
            return None
        return [shown for (shown,) in rows]

    async def bindings(self, ref: ScriptRef, version: int | None = None) -> list[Binding]:
        """See `Store.bindings`."""
        if version is None:
            return [Binding(*row) for row in self._reader.all(_BINDINGS, key_of(ref))]
        return (await self.bindings_of(ref, version, version)).get(version, [])

    async def script(self, ref: ScriptRef) -> Script | None:
        """See `Store.script`."""
        row = self._reader.one(SCRIPT, key_of(ref))
        return None if row is None else script_of(ref.account_id, row)

    async def script_by_id(self, account_id: str, script_id: str) -> Script | None:
        """See `Store.script_by_id`."""
        row = self._reader.one(_SCRIPT_BY_ID, (account_id, "", script_id))
        return None if row is None else script_of(account_id, row)

    async def scripts(self, account_id: str, namespace: str = "") -> list[Script]:
        """See `Store.scripts`."""
        scripts: list[Script] = []
        while part := await self.scripts_after(account_id, namespace, scripts[-1].ref.name if scripts else "", PART):
            scripts += part
            if len(part) < PART:
                break
            await turn()
        return scripts

    async def scripts_after(self, account_id: str, namespace: str, name: str, limit: int = PART) -> list[Script]:
        """See `Store.scripts_after`."""
        rows = self._reader.all(_SCRIPTS_AFTER, (account_id, namespace, name, limit))
        return [script_of(account_id, row) for row in rows]

    async def version(self, ref: ScriptRef, version_id: bytes | None = None) -> Version | None:
        """See `Store.version`."""
        head = self._head(ref)
        if head is None:
            return None
        script_id, newest = head
        query = (VERSION, newest) if version_id is None else (VERSION_BY_ID, version_id)
        row = self._reader.one(query[0], (ref.account_id, script_id, query[1]))
        return None if row is None else version_of(row)

    async def versions(self, ref: ScriptRef, *, offset: int = 0, limit: int = 100) -> list[Version]:
        """See `Store.versions`."""
        head = self._head(ref)
        if head is None:
            return []
        newest = head[1] - offset  # versions are numbered from 1 without gaps
        rows = self._reader.all(_VERSIONS, (ref.account_id, head[0], newest - limit + 1, newest))
        return [version_of(row) for row in rows]

    async def versions_between(self, ref: ScriptRef, first: bytes, last: bytes) -> list[Version]:
        """See `Store.versions_between`."""
        head = self._head(ref)
        if head is None:
            return []
        return [
            version_of(row) for row in self._reader.all(_VERSIONS_BETWEEN, (ref.account_id, head[0], first, last))
        ]

    async def deployment(self, ref: ScriptRef, deployment_id: bytes) -> Deployment | None:
        """See `Store.deployment`."""
        head = self._head(ref)
        if head is None or not deployment_id:
            return None
        row = self._reader.one(_DEPLOYMENT, (ref.account_id, head[0], deployment_id) * 2)
        return None if row is None else deployment_of(row)

    async def count_deployments(self, ref: ScriptRef, period: Period = ALWAYS) -> int:
        """See `Store.count_deployments`."""
        if period != ALWAYS:
            return await self.count_deployments_in(ref, period)
        row = self._reader.one(_COUNT_DEPLOYMENTS, key_of(ref))
        return 0 if row is None else int(row[0])

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

    async def audit_entries(self, account_id: str, after: int = 0, limit: int = 100) -> list[tuple[int, AuditEntry]]:
        """See `Store.audit_entries`."""
        rows = self._reader.all(_AUDIT, (account_id, after, limit))
        return [(sequence, AuditEntry(*entry)) for sequence, *entry in rows]

    def generation(self) -> object:
        """See `Store.generation`."""
        return self._reader.generation()
