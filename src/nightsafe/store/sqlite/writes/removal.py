"""Deleting a script with all that belongs to it.

What makes it a script goes at once, in the transaction of the deletion: its name, its live bindings, what it holds.
From then on no read finds it, and its name is free. The rows of its past are found by its id alone, which no other
script gets. So a long past is purged afterwards, part by part, in transactions between those of others. Until then
its sealed values count: a key is in use as long as anything in the database is sealed to it.
"""

import sqlite3
from typing import Final

from nightsafe.store.sqlite.writes.collections import forget_script

PART: Final = 500
"""Rows of a script's past that one transaction purges: some milliseconds."""

_MOST_BYTES: Final = 4 << 20
"""Bytes of files that one transaction purges, or one file."""

_REMOVE_BY_NAME: Final = (
    "DELETE FROM bindings WHERE account_id = ? AND namespace = ? AND script = ?",
    "DELETE FROM scripts WHERE account_id = ? AND namespace = ? AND name = ?",
)
_PURGE: Final = tuple(
    f"DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} WHERE account_id = ? AND script_id = ? LIMIT ?)"  # noqa: S608 - our own SQL
    for table in ("binding_history", "deployments", "versions", "uploads")
)
"""Sealed values go first."""

_MODULES: Final = """
SELECT m.rowid, m.digest, length(c.body) FROM modules m
LEFT JOIN contents c ON c.account_id = m.account_id AND c.digest = m.digest
WHERE m.account_id = ? AND m.script_id = ? ORDER BY m.version, m.position LIMIT ?
"""
_PURGE_MODULE: Final = "DELETE FROM modules WHERE rowid = ?"
_PURGE_CONTENT: Final = """
DELETE FROM contents WHERE account_id = ?1 AND digest = ?2
  AND NOT EXISTS (SELECT 1 FROM modules WHERE account_id = ?1 AND digest = ?2)
"""
_OWE: Final = "INSERT INTO removals (account_id, script_id) VALUES (?, ?) ON CONFLICT DO NOTHING"
_OWED: Final = "SELECT account_id, script_id FROM removals LIMIT 1"
_DONE: Final = "DELETE FROM removals WHERE account_id = ? AND script_id = ?"

Past = tuple[str, str]
"""Whose a past is: an account and the id that a script had."""


def remove_script(db: sqlite3.Cursor, key: tuple[str, str, str], script_id: str) -> None:
    """Delete a script; what is left of its past is noted to be purged."""
    forget_script(db, key[0], script_id)
    for sql in _REMOVE_BY_NAME:
        db.execute(sql, key)
    past = (key[0], script_id)
    if not _purge(db, past):
        db.execute(_OWE, past)


def is_owed(db: sqlite3.Connection) -> bool:
    """Whether there is a past to be purged."""
    return db.execute(_OWED).fetchone() is not None


def purge_part(db: sqlite3.Cursor) -> None:
    """Purge a part of one of the pasts that are left, within a transaction."""
    past: Past | None = db.execute(_OWED).fetchone()
    if past is not None and _purge(db, past):
        db.execute(_DONE, past)


def _purge(db: sqlite3.Cursor, past: Past) -> bool:
    """Delete a part of a past; whether that was the last."""
    left = PART
    for sql in _PURGE:
        left -= db.execute(sql, (*past, left)).rowcount
        if left <= 0:
            return False
    return _purge_modules(db, past, left)


def _purge_modules(db: sqlite3.Cursor, past: Past, most: int) -> bool:
    """Delete names of files, and the contents that no file has any more; whether those were the last."""
    rows, size = db.execute(_MODULES, (*past, most)).fetchall(), 0
    for row, digest, length in rows:
        if size and size + (length or 0) > _MOST_BYTES:
            return False
        db.execute(_PURGE_MODULE, (row,))
        size += (length or 0) * db.execute(_PURGE_CONTENT, (past[0], digest)).rowcount
    return len(rows) < most
