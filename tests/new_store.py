"""New SQLite stores, each a copy of one that was created once: creating its tables is most of the work."""

import functools
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from nightsafe.store.sqlite import SqliteStore
from nightsafe.store.sqlite.engine.connection import connect, create_file
from nightsafe.store.sqlite.engine.schema import migrate
from nightsafe.store.sqlite.store import BUSY_TIMEOUT


def new_store(path: Path, busy_timeout: float = BUSY_TIMEOUT) -> SqliteStore:
    """Create an empty store, and open it. Tests of the creation itself open a store with `create=True`.

    Args:
        path: where there is no file yet; the folder is created with mode 0700 if it is absent.
        busy_timeout: seconds, as in `SqliteStore.open`.
    """
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
