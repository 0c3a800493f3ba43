"""The rows of identities, keys, values, approvals and references, in SQL."""

import sqlite3
from typing import Final

from msgspec.structs import astuple

from nightsafe.store.bundles import StoredApproval
from nightsafe.store.identities import Account, Identity, Membership, RefusedRow, Token, User
from nightsafe.store.references import ReferenceCandidates
from nightsafe.store.rules.rows import Place
from nightsafe.store.sqlite.identity_macs import drop_refused
from nightsafe.store.sqlite.reads.references import bindings_mentioning, settings_mentioning
from nightsafe.store.sqlite.reads.sealed_values import TABLES, WHERE_PUT, parse_mark, table_of

_IS_UNCHANGED: Final = "SELECT 1 FROM tokens WHERE id = ? AND digest = ? AND modified_on = ?"
_PUT: Final[dict[type[Identity], str]] = {
    Account: """
INSERT INTO accounts (id, name, created_on, mac) VALUES (?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET name = excluded.name, created_on = excluded.created_on,
  mac = excluded.mac
""",
    User: """
INSERT INTO users (id, email, key_digest, created_on, service_key_digest, mac, email_folded)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET email = excluded.email, key_digest = excluded.key_digest,
  created_on = excluded.created_on, service_key_digest = excluded.service_key_digest,
  mac = excluded.mac, email_folded = excluded.email_folded
""",
    Membership: """
INSERT INTO memberships (account_id, user_id, policies, created_on, mac) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (account_id, user_id) DO UPDATE SET policies = excluded.policies, created_on = excluded.created_on,
  mac = excluded.mac
""",
    Token: """
INSERT INTO tokens (id, digest, user_id, name, status, policies, issued_on, modified_on, not_before, expires_on,
  account_id, condition, mac) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET digest = excluded.digest, user_id = excluded.user_id, name = excluded.name,
  status = excluded.status, policies = excluded.policies, issued_on = excluded.issued_on,
  modified_on = excluded.modified_on, not_before = excluded.not_before, expires_on = excluded.expires_on,
  account_id = excluded.account_id, condition = excluded.condition,
  mac = excluded.mac
""",
}
_DROP_TOKEN: Final = "DELETE FROM tokens WHERE id = ?"  # noqa: S105 - SQL
_IS_RETIRED: Final = "SELECT 1 FROM retired_keys WHERE id = ?"
_RETIRE: Final = "INSERT INTO retired_keys (id, retired_on) VALUES (?, ?) ON CONFLICT DO NOTHING"
_RING: Final = "UPDATE ring SET number = max(number, ?)"
_ACCOUNTS: Final = "SELECT id FROM accounts"
_USES: Final = tuple(f"SELECT 1 FROM {table} WHERE account_id = ? AND key_id = ? LIMIT 1" for table in TABLES)  # noqa: S608 - our own SQL
_RESEAL: Final = {
    table: f"UPDATE {table} SET sealed = ?, key_id = ?, stated_in = ?, position = ? WHERE rowid = ?"  # noqa: S608 - the same
    for table in TABLES
}
_SINCE: Final = {
    table: f"SELECT {columns} FROM {table} t WHERE rowid = ? AND account_id = ? AND sealed = ?"  # noqa: S608 - the same
    for table, columns in WHERE_PUT.items()
}
_APPROVAL: Final = """
INSERT INTO approvals (account_id, script_id, made_for, key_id, made_at, code, value_digest, public, signature)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
_COUNT_ARCHIVED: Final = "UPDATE log_head SET archived = ?1 WHERE archived = ?2 AND ?1 <= size"
_EMPTY_ENTRIES: Final = "UPDATE audit SET entry = x'' WHERE seq > ? AND seq <= ?"


class SafeRows:
    """The part of `Rows` for identities, keys, values, approvals and references."""

    _db: sqlite3.Cursor

    def is_unchanged(self, token: Token) -> bool:
        """See `Rows.is_unchanged`."""
        return self._db.execute(_IS_UNCHANGED, (token.id, token.digest, token.modified_on)).fetchone() is not None

    def put_identity(self, identity: Identity, mac: bytes) -> None:
        """See `Rows.put_identity`."""
        values = (*astuple(identity), mac)
        if isinstance(identity, User):
            values = (*values, identity.email.casefold())
        self._db.execute(_PUT[type(identity)], values)

    def drop_token(self, token_id: str) -> bool:
        """See `Rows.drop_token`."""
        return bool(self._db.execute(_DROP_TOKEN, (token_id,)).rowcount)

    def drop_refused(self, row: RefusedRow) -> bool:
        """See `Rows.drop_refused`."""
        return drop_refused(self._db, row)

    def is_retired(self, key_id: str) -> bool:
        """See `Rows.is_retired`."""
        return self._db.execute(_IS_RETIRED, (key_id,)).fetchone() is not None

    def retire_key(self, key_id: str, at: int) -> bool:
        """See `Rows.retire_key`."""
        return bool(self._db.execute(_RETIRE, (key_id, at)).rowcount)

    def is_key_in_use(self, key_id: str) -> bool:
        """See `Rows.is_key_in_use`."""
        accounts = self._db.execute(_ACCOUNTS).fetchall()
        return any(self._db.execute(sql, (account, key_id)).fetchone() for (account,) in accounts for sql in _USES)

    def keep_ring_number(self, number: int) -> None:
        """See `Rows.keep_ring_number`."""
        self._db.execute(_RING, (number,))

    def stored_value(self, account_id: str, mark: str, sealed: bytes) -> tuple[int, str] | None:
        """See `Rows.stored_value`."""
        letter, number = parse_mark(mark)
        row: tuple[int, str] | None = self._db.execute(
            _SINCE[table_of(letter)], (number, account_id, sealed)
        ).fetchone()
        return row

    def reseal(self, account_id: str, mark: str, sealed: bytes, key_id: str, place: Place) -> None:  # noqa: ARG002 - the mark names the row
        """See `Rows.reseal`."""
        letter, number = parse_mark(mark)
        self._db.execute(_RESEAL[table_of(letter)], (sealed, key_id, *place, number))

    def references(self, account_id: str, name: str) -> ReferenceCandidates:
        """See `Rows.references`."""
        bindings = bindings_mentioning(self._db, account_id, name)
        return ReferenceCandidates(tuple(bindings), tuple(settings_mentioning(self._db, account_id, name)))

    def keep_approval(self, account_id: str, stored: StoredApproval) -> None:
        """See `Rows.keep_approval`."""
        approval = stored.approval
        self._db.execute(
            _APPROVAL,
            (
                account_id,
                stored.script_id,
                stored.version_id,
                approval.key,
                approval.made_at,
                approval.code,
                approval.values,
                approval.public,
                approval.signature,
            ),
        )

    def empty_archived(self, first: int, end: int) -> bool:
        """See `Rows.empty_archived`."""
        if not self._db.execute(_COUNT_ARCHIVED, (end, first)).rowcount:
            return False
        self._db.execute(_EMPTY_ENTRIES, (first, end))
        return True
