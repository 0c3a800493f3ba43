"""Deletes a script with everything that belongs to it.

The transaction of the deletion removes the script's name, its live bindings and its items at once. From then on, no
read finds the script, and its name is free. The rows of its history can be found only by its id, which no other
script ever gets. So a long history is purged afterwards, part by part, in transactions between other transactions.
Until then its sealed values count: a key is in use as long as anything in the database is sealed to it.
"""

import sqlite3
from typing import Final

PART: Final = 500
"""The number of history rows that one transaction purges, which takes some milliseconds."""

_MAX_BYTES: Final = 4 << 20
"""The maximum size, in bytes, of the files that one transaction purges; a single file may be larger."""

_REMOVE_BY_ID: Final = (
    "DELETE FROM items WHERE account_id = ? AND collection_id = ?",
    "DELETE FROM collections WHERE account_id = ? AND id = ?",
)
_REMOVE_BY_NAME: Final = (
    "DELETE FROM bindings WHERE account_id = ? AND namespace = ? AND script = ?",
    "DELETE FROM scripts WHERE account_id = ? AND namespace = ? AND name = ?",
)
_PURGE: Final = tuple(
    f"DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} WHERE account_id = ? AND script_id = ? LIMIT ?)"  # noqa: S608 - our own SQL
    for table in ("binding_history", "deployments", "versions", "uploads", "approvals")
)
"""Sealed values are purged first."""

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
_RECORD_REMOVAL: Final = "INSERT INTO removals (account_id, script_id) VALUES (?, ?) ON CONFLICT DO NOTHING"
_NEXT_REMOVAL: Final = "SELECT account_id, script_id FROM removals LIMIT 1"
_FINISH_REMOVAL: Final = "DELETE FROM removals WHERE account_id = ? AND script_id = ?"

DeletedScript = tuple[str, str]
"""The owner of a history: an account, and the id of a deleted script."""


def remove_script(db: sqlite3.Cursor, key: tuple[str, str, str], script_id: str) -> None:
    """Delete a script, and record that the rest of its history must be purged."""
    deleted_script = (key[0], script_id)
    for sql in _REMOVE_BY_ID:
        db.execute(sql, deleted_script)
    for sql in _REMOVE_BY_NAME:
        db.execute(sql, key)
    if not _purge(db, deleted_script):
        db.execute(_RECORD_REMOVAL, deleted_script)


def is_purge_pending(db: sqlite3.Connection) -> bool:
    """Return True if there is a history to purge."""
    return db.execute(_NEXT_REMOVAL).fetchone() is not None


def purge_part(db: sqlite3.Cursor) -> None:
    """Purge a part of one remaining history, within a transaction."""
    deleted_script: DeletedScript | None = db.execute(_NEXT_REMOVAL).fetchone()
    if deleted_script is not None and _purge(db, deleted_script):
        db.execute(_FINISH_REMOVAL, deleted_script)


def _purge(db: sqlite3.Cursor, deleted_script: DeletedScript) -> bool:
    """Delete a part of a history; return True if it was the last part."""
    remaining = PART
    for sql in _PURGE:
        remaining -= db.execute(sql, (*deleted_script, remaining)).rowcount
        if remaining <= 0:
            return False
    return _purge_modules(db, deleted_script, remaining)


def _purge_modules(db: sqlite3.Cursor, deleted_script: DeletedScript, maximum: int) -> bool:
    """Delete file names, and contents that no file uses any longer; return True if those were the last."""
    rows, size = db.execute(_MODULES, (*deleted_script, maximum)).fetchall(), 0
    for row, digest, length in rows:
        if size and size + (length or 0) > _MAX_BYTES:
            return False
        db.execute(_PURGE_MODULE, (row,))
        size += (length or 0) * db.execute(_PURGE_CONTENT, (deleted_script[0], digest)).rowcount
    return len(rows) < maximum
