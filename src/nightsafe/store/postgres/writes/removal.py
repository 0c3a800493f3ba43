"""Deletes a script with everything that belongs to it.

The transaction of the deletion removes the script's name, its live bindings and its items. From then on, no read
finds the script, and its name is free. The rows of its history can be found only by its id, which no other script
ever gets. So a long history is purged afterwards, part by part, in transactions between other transactions, by any
node. Until then its sealed values count: a key is in use as long as anything in the database is sealed to it.
"""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from asyncpg import Connection

PART: Final = 500
"""The number of history rows that one transaction purges, which takes some milliseconds."""

_MAX_BYTES: Final = 4 << 20
"""The maximum size, in bytes, of the files that one transaction purges; a single file may be larger."""

_REMOVE_BY_ID: Final = (
    "DELETE FROM items WHERE account_id = $1 AND collection_id = $2",
    "DELETE FROM collections WHERE account_id = $1 AND id = $2",
    """
DELETE FROM bindings b USING scripts s WHERE s.account_id = $1 AND s.id = $2
  AND b.account_id = s.account_id AND b.namespace = s.namespace AND b.script = s.name
""",
    "DELETE FROM scripts WHERE account_id = $1 AND id = $2",
)
_PURGE: Final = tuple(
    f"""
WITH gone AS (
  DELETE FROM {table} WHERE account_id = $1 AND script_id = $2 AND ({key}) IN (
    SELECT {key} FROM {table} WHERE account_id = $1 AND script_id = $2 LIMIT $3
  ) RETURNING 1
) SELECT count(*) FROM gone
"""  # noqa: S608 - our own SQL
    for table, key in (
        ("binding_history", "to_version, name"),
        ("deployments", "newest_version, place"),
        ("versions", "number"),
        ("uploads", "version"),
        ("approvals", "code, key_id, made_at"),
    )
)
"""Sealed values are purged first."""

_MODULES: Final = """
SELECT m.version, m.position, m.digest, length(c.body) FROM modules m
LEFT JOIN contents c ON c.account_id = m.account_id AND c.digest = m.digest
WHERE m.account_id = $1 AND m.script_id = $2 ORDER BY m.version, m.position LIMIT $3
"""
_PURGE_MODULE: Final = """
DELETE FROM modules WHERE account_id = $1 AND script_id = $2 AND version = $3 AND position = $4
"""
_PURGE_CONTENT: Final = """
DELETE FROM contents WHERE account_id = $1 AND digest = $2
  AND NOT EXISTS (SELECT 1 FROM modules WHERE account_id = $1 AND digest = $2)
"""
_RECORD_REMOVAL: Final = "INSERT INTO removals (account_id, script_id) VALUES ($1, $2) ON CONFLICT DO NOTHING"
_NEXT_REMOVAL: Final = "SELECT account_id, script_id FROM removals LIMIT 1"
_FINISH_REMOVAL: Final = "DELETE FROM removals WHERE account_id = $1 AND script_id = $2"


async def remove_script(db: "Connection", account_id: str, script_id: str) -> None:
    """Delete a script, and record that the rest of its history must be purged, in a transaction."""
    for sql in _REMOVE_BY_ID:
        await db.execute(sql, account_id, script_id)
    if not await _purge(db, account_id, script_id):
        await db.execute(_RECORD_REMOVAL, account_id, script_id)


async def is_purge_pending(db: "Connection") -> bool:
    """Return True if there is a history to purge."""
    return await db.fetchrow(_NEXT_REMOVAL) is not None


async def purge_part(db: "Connection") -> bool:
    """Purge a part of one remaining history, in a transaction that holds the head of the log.

    Returns:
        Whether there was anything to purge.
    """
    deleted_script = await db.fetchrow(_NEXT_REMOVAL)
    if deleted_script is None:
        return False
    if await _purge(db, *deleted_script):
        await db.execute(_FINISH_REMOVAL, *deleted_script)
    return True


async def _purge(db: "Connection", account_id: str, script_id: str) -> bool:
    """Delete a part of a history; return True if it was the last part."""
    remaining = PART
    for sql in _PURGE:
        remaining -= await db.fetchval(sql, account_id, script_id, remaining)
        if remaining <= 0:
            return False
    return await _purge_modules(db, account_id, script_id, remaining)


async def _purge_modules(db: "Connection", account_id: str, script_id: str, maximum: int) -> bool:
    """Delete file names, and contents that no file uses any longer; return True if those were the last."""
    rows, size = await db.fetch(_MODULES, account_id, script_id, maximum), 0
    for version, position, digest, length in rows:
        if size and size + (length or 0) > _MAX_BYTES:
            return False
        await db.execute(_PURGE_MODULE, account_id, script_id, version, position)
        size += length or 0
        await db.execute(_PURGE_CONTENT, account_id, digest)
    return len(rows) < maximum
