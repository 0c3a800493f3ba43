"""The embedded engine: one SQLite file in write-ahead mode, one writer, reads on the event loop's thread."""

from nightsafe.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
