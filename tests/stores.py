"""SQLite stores for tests. A new one is a copy of one that was created once: its tables are most of the work."""

import functools
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from nightsafe.store.sqlite import SqliteStore
from nightsafe.store.sqlite.engine.connection import connect, create_file
from nightsafe.store.sqlite.engine.schema import migrate
from nightsafe.store.sqlite.store import BUSY_TIMEOUT


def open_store(path: Path, busy_timeout: float = BUSY_TIMEOUT) -> SqliteStore:
    """Open a store, and create it if it is absent, as `SqliteStore.open` does for tests of the creation itself.

    Args:
        path: the database file; its folder is created with mode 0700 if it is absent.
        busy_timeout: seconds, as in `SqliteStore.open`.
    """
    if not path.exists():
        create_file(path)
        path.write_bytes(_empty_database())
    return SqliteStore.open(path, busy_timeout=busy_timeout)


@functools.cache
def _empty_database() -> bytes:
    """Return a database file with all tables and no rows."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        create_file(path)
        with closing(connect(path, 0)) as db:
            migrate(db)
        return path.read_bytes()
