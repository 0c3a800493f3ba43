"""Empties the entries of the audit log whose text is in an archive."""

import sqlite3
from typing import Final

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.changes import ArchivedEntries
from nightsafe.store.log.written import ARCHIVED, archived_digest
from nightsafe.store.sqlite.writes.audit_log import GroupLog

_COUNT: Final = "UPDATE log_head SET archived = ?1 WHERE archived = ?2 AND ?1 <= size"
_EMPTY: Final = "UPDATE audit SET entry = x'' WHERE seq > ? AND seq <= ?"


def empty_archived(db: sqlite3.Cursor, log: GroupLog, archived: ArchivedEntries) -> None:
    """Empty archived entries. Their leaf hashes stay. The entry of the change names the number of all archived ones.

    Raises:
        NightsafeError: UNAVAILABLE, when the entries are not the next ones to archive.
    """
    if not db.execute(_COUNT, (archived.end, archived.first)).rowcount:
        raise NightsafeError(
            Code.UNAVAILABLE,
            f"the entries {archived.first} to {archived.end - 1} are not the next ones to archive: another process"
            " has archived entries meanwhile, so run the command again",
        )
    db.execute(_EMPTY, (archived.first, archived.end))
    log.written.rows.append((ARCHIVED, archived_digest(archived.end)))
