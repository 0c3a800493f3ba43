"""Writes accounts, users, memberships and tokens."""

import re
import sqlite3
from typing import Final

from msgspec.structs import astuple

from nightsafe.store.identities import Account, Identity, Membership, RefusedRow, Token, User
from nightsafe.store.log.written import identity_digest, identity_place
from nightsafe.store.sqlite.identity_macs import drop_refused
from nightsafe.store.sqlite.writes.audit_log import GroupLog

_ID: Final = re.compile("[0-9a-f]{32}")
_PUT: dict[type[Identity], str] = {
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


def put_identity(db: sqlite3.Cursor, log: GroupLog, identity: Identity, mac: bytes) -> None:
    """Create or replace an identity by its id, or a membership by its account and user, and name it in the log.

    Raises:
        sqlite3.IntegrityError: when another user has the e-mail, or another token has the digest.
    """
    values = (*astuple(identity), mac)
    if isinstance(identity, User):
        values = (*values, identity.email.casefold())
    db.execute(_PUT[type(identity)], values)
    log.written.rows.append((identity_place(identity), identity_digest(identity)))


def drop_token(db: sqlite3.Cursor, log: GroupLog, token_id: str) -> None:
    """Delete a token, if it exists; name it in the log."""
    if db.execute("DELETE FROM tokens WHERE id = ?", (token_id,)).rowcount:
        log.written.gone.append(f"token/{token_id}")


def drop_refused_row(db: sqlite3.Cursor, log: GroupLog, row: RefusedRow) -> None:
    """Delete a row that does not count, unless it has been written again since it was read; name it in the log.

    No entry has written an id of a form that Nightsafe does not make, so the log does not name it.
    """
    ids = row.name.split(" ")
    if drop_refused(db, row) and all(map(_ID.fullmatch, ids)):
        log.written.gone.append("/".join((row.table.removesuffix("s"), *ids)))


def is_unchanged(db: sqlite3.Cursor, token: Token) -> bool:
    """Return True if a token still exists with the same secret, and has not changed since it was read."""
    sql = "SELECT 1 FROM tokens WHERE id = ? AND digest = ? AND modified_on = ?"
    return db.execute(sql, (token.id, token.digest, token.modified_on)).fetchone() is not None
