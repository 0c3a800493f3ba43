"""Deleting a script with all that belongs to it."""

import sqlite3

from nightsafe.store.sqlite.holders import forget_script

_REMOVE_CONTENTS = """
DELETE FROM contents WHERE account_id = ?
  AND digest IN (SELECT digest FROM modules WHERE account_id = ? AND script_id = ?)
  AND NOT EXISTS (SELECT 1 FROM modules m
    WHERE m.account_id = contents.account_id AND m.digest = contents.digest AND m.script_id <> ?)
"""
_REMOVE_BY_ID = (
    "DELETE FROM modules WHERE account_id = ? AND script_id = ?",
    "DELETE FROM uploads WHERE account_id = ? AND script_id = ?",
    "DELETE FROM versions WHERE account_id = ? AND script_id = ?",
    "DELETE FROM deployments WHERE account_id = ? AND script_id = ?",
    "DELETE FROM binding_history WHERE account_id = ? AND script_id = ?",
)
_REMOVE_BY_NAME = (
    "DELETE FROM bindings WHERE account_id = ? AND namespace = ? AND script = ?",
    "DELETE FROM scripts WHERE account_id = ? AND namespace = ? AND name = ?",
)


def remove_script(db: sqlite3.Cursor, key: tuple[str, str, str], script_id: str) -> None:
    """Delete every row of a script, what it holds, and the contents that no other script has."""
    forget_script(db, key[0], script_id)
    db.execute(_REMOVE_CONTENTS, (key[0], key[0], script_id, script_id))
    for sql in _REMOVE_BY_ID:
        db.execute(sql, (key[0], script_id))
    for sql in _REMOVE_BY_NAME:
        db.execute(sql, key)
