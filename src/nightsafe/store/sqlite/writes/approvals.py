"""Keeps approvals."""

import sqlite3
from typing import Final

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.bundles import StoredApproval
from nightsafe.store.sqlite.reads.rows import VERSION_NUMBER

_KEEP: Final = """
INSERT INTO approvals (account_id, script_id, made_for, key_id, made_at, code, value_digest, public, signature)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""


def keep_approval(db: sqlite3.Cursor, account_id: str, stored: StoredApproval) -> None:
    """Keep an approval; do nothing if the same approver has approved the same code at the same time.

    Raises:
        NightsafeError: VERSION_NOT_FOUND, when the version does not exist any more.
    """
    approval = stored.approval
    if db.execute(VERSION_NUMBER, (account_id, stored.script_id, stored.version_id)).fetchone() is None:
        raise NightsafeError(Code.VERSION_NOT_FOUND, stored.version_id.hex())
    db.execute(
        _KEEP,
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
