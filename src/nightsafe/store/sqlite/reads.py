"""The reads of the store's interface, in SQL."""

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from nightsafe.store.model import (
    Account,
    AuditEntry,
    Binding,
    Deployment,
    Membership,
    Module,
    Script,
    ScriptRef,
    Token,
    User,
    Version,
)
from nightsafe.store.sqlite.reader import Reader

_Row = TypeVar("_Row", bound=msgspec.Struct)

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
_HEAD = """
SELECT id, version FROM scripts WHERE account_id = ? AND namespace = ? AND name = ?
"""
_BINDINGS_AT = """
SELECT name, kind, shown, sealed, key_id FROM bindings
WHERE account_id = ? AND namespace = ? AND script = ? AND since <= ?
UNION ALL
SELECT name, kind, shown, sealed, key_id FROM binding_history
WHERE account_id = ? AND script_id = ? AND to_version > ? AND from_version <= ?
ORDER BY name
"""
_SCRIPTS = """
SELECT s.name, s.namespace, s.id, s.created_on, s.modified_on, s.version, s.upload_version,
  u.etag, u.main_module, u.settings, s.script_settings, s.source
FROM scripts s JOIN uploads u
  ON u.account_id = s.account_id AND u.script_id = s.id AND u.version = s.upload_version
WHERE s.account_id = ? AND s.namespace = ?
"""
SCRIPT = _SCRIPTS + "AND s.name = ?"
_SCRIPTS_BY_NAME = _SCRIPTS + "ORDER BY s.name"
_MODULES = """
SELECT m.name, m.content_type, m.digest, c.body
FROM versions v
JOIN modules m ON m.account_id = v.account_id AND m.script_id = v.script_id AND m.version = v.upload_version
JOIN contents c ON c.account_id = m.account_id AND c.digest = m.digest
WHERE v.account_id = ? AND v.script_id = ? AND v.number = ?
ORDER BY m.position
"""
_VERSIONS = """
SELECT number, id, created_on, upload_version, source, triggered_by, author_id, author_email, annotations
FROM versions WHERE account_id = ? AND script_id = ? ORDER BY number DESC
"""
_DEPLOYMENTS = """
SELECT deployment_id, created_on, source, author_email, annotations, id
FROM versions WHERE account_id = ? AND script_id = ? ORDER BY number DESC
"""
_ISSUED = """
SELECT id, digest, user_id, name, status, policies, issued_on, modified_on, not_before, expires_on,
  account_id, condition
FROM tokens WHERE
"""
_BY_DIGEST = f"{_ISSUED} digest = ?"
_OF_USER = f"{_ISSUED} account_id = '' AND user_id = ? ORDER BY issued_on, id"
_OF_ACCOUNT = f"{_ISSUED} account_id = ? AND account_id <> '' ORDER BY issued_on, id"
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


class Reads:
    """What `Store` promises of reads, on the event loop's thread; microseconds need no thread hop."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def shown(self, ref: ScriptRef, name: str) -> bytes | None:
        """See `Store.shown`."""
        row = self._reader.one(_SHOWN, (ref.account_id, ref.namespace, ref.name, name))
        return None if row is None else row[0]

    async def secrets(self, ref: ScriptRef) -> list[bytes] | None:
        """See `Store.secrets`."""
        rows = self._reader.all(_SECRETS, (ref.account_id, ref.namespace, ref.name))
        if not rows and self._head(ref) is None:
            return None
        return [shown for (shown,) in rows]

    async def bindings(self, ref: ScriptRef, version: int | None = None) -> list[Binding]:
        """See `Store.bindings`."""
        live = (ref.account_id, ref.namespace, ref.name)
        if version is None:
            return [Binding(*row) for row in self._reader.all(_BINDINGS, live)]
        head = self._head(ref)
        if head is None or not 1 <= version <= head[1]:
            return []
        gone = (ref.account_id, head[0], version, version)
        return [Binding(*row) for row in self._reader.all(_BINDINGS_AT, (*live, version, *gone))]

    async def script(self, ref: ScriptRef) -> Script | None:
        """See `Store.script`."""
        row = self._reader.one(SCRIPT, (ref.account_id, ref.namespace, ref.name))
        return None if row is None else script_of(ref.account_id, row)

    async def scripts(self, account_id: str, namespace: str = "") -> list[Script]:
        """See `Store.scripts`."""
        rows = self._reader.all(_SCRIPTS_BY_NAME, (account_id, namespace))
        return [script_of(account_id, row) for row in rows]

    async def modules(self, ref: ScriptRef, version: int | None = None) -> list[Module]:
        """See `Store.modules`."""
        head = self._head(ref)
        if head is None:
            return []
        number = head[1] if version is None else version
        return [Module(*row) for row in self._reader.all(_MODULES, (ref.account_id, head[0], number))]

    async def versions(self, ref: ScriptRef) -> list[Version]:
        """See `Store.versions`."""
        return [_build(Version, row) for row in self._of(ref, _VERSIONS)]

    async def deployments(self, ref: ScriptRef) -> list[Deployment]:
        """See `Store.deployments`."""
        return [_deployment(row) for row in self._of(ref, _DEPLOYMENTS)]

    async def token(self, digest: bytes) -> Token | None:
        """See `Store.token`."""
        row = self._reader.one(_BY_DIGEST, (digest,))
        return None if row is None else _build(Token, row)

    async def tokens_of_user(self, user_id: str) -> list[Token]:
        """See `Store.tokens_of_user`."""
        return [_build(Token, row) for row in self._reader.all(_OF_USER, (user_id,))]

    async def tokens_of_account(self, account_id: str) -> list[Token]:
        """See `Store.tokens_of_account`."""
        return [_build(Token, row) for row in self._reader.all(_OF_ACCOUNT, (account_id,))]

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

    def _head(self, ref: ScriptRef) -> tuple[str, int] | None:
        """A script's id and newest version number."""
        row: tuple[str, int] | None = self._reader.one(_HEAD, (ref.account_id, ref.namespace, ref.name))
        return row

    def _of(self, ref: ScriptRef, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a query by account and script id; none when the script is absent."""
        head = self._head(ref)
        return [] if head is None else self._reader.all(sql, (ref.account_id, head[0]))


def _build(kind: type[_Row], row: Iterable[Any]) -> _Row:
    """A struct from its fields' values, in their order."""
    return kind(**dict(zip(kind.__struct_fields__, row, strict=True)))


def script_of(account_id: str, row: tuple[Any, ...]) -> Script:
    """A row of SCRIPT."""
    name, namespace, *rest = row
    return _build(Script, (ScriptRef(account_id, name, namespace), *rest))


def _deployment(row: tuple[Any, ...]) -> Deployment:
    """A row of _DEPLOYMENTS: the whole traffic to the version it was made with."""
    *fields, version_id = row
    return _build(Deployment, (*fields, ((version_id, 100.0),)))
