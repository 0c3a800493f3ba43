"""The embedded engine: one SQLite file in WAL mode, one writer, and reads on the event loop's thread."""

from nightsafe.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
