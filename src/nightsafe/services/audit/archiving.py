"""Removes archived entries from the database."""

from nightsafe.audit.entry import AuditEvent, entry_for
from nightsafe.store.changes import ArchivedEntries, Change


def archive_change(entries: ArchivedEntries, at: int) -> Change:
    """Return the change that empties entries that are in an archive."""
    words = f"{entries.first}-{entries.end - 1}"
    event = AuditEvent(at=at, action="audit.archive", actor="", actor_kind="operator", account_id="", resource=words)
    return Change(at=at, audit=entry_for(event), archive=entries)
