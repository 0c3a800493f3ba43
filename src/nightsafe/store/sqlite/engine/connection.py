"""Opens connections, all with the same settings, and translates SQLite errors."""

import os
import sqlite3
from pathlib import Path

from nightsafe.errors import AGAIN, Code, NightsafeError

FACTORY = sqlite3.Connection
"""The connection class; fault tests replace it."""

CACHE_SIZE = "PRAGMA cache_size = -32768"

_CACHED_STATEMENTS = 256
_PRAGMAS = (
    "PRAGMA trusted_schema = OFF",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA secure_delete = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA wal_autocheckpoint = 0",
    f"PRAGMA journal_size_limit = {64 << 20}",
    f"PRAGMA mmap_size = {1 << 40}",
    CACHE_SIZE,
)

_FULL = f"the safe's disk is full: nothing was changed; free some space, then {AGAIN}"
_NO_ROOM = frozenset({"SQLITE_FULL", "SQLITE_IOERR_SHMSIZE"})
_OF_ONE_CHANGE = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError, sqlite3.InterfaceError)


def connect(path: Path, timeout: float) -> sqlite3.Connection:
    """Open a connection in autocommit mode to an existing database.

    Args:
        path: the database file.
        timeout: seconds to wait for another process's lock.

    Raises:
        sqlite3.Error: when the database cannot be opened.
    """
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=timeout,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=_CACHED_STATEMENTS,
        factory=FACTORY,
    )
    try:
        for pragma in _PRAGMAS:
            db.execute(pragma).fetchall()
    except BaseException:
        db.close()
        raise
    return db


def create_file(path: Path) -> None:
    """Create an empty database file with mode 0600, and its folder with mode 0700, if they are absent.

    An existing file is not opened, because closing a descriptor of it would drop the locks that SQLite holds on it.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def is_engine_failure(error: BaseException) -> bool:
    """Return True if the engine failed, and False if the content of one change caused the error."""
    return isinstance(error, sqlite3.Error | MemoryError) and not isinstance(error, _OF_ONE_CHANGE)


def store_error(error: BaseException, path: Path | None = None) -> NightsafeError:
    """Build the error that tells a caller about an engine failure. SQLite's messages contain no row content.

    Args:
        error: the exception that was raised.
        path: the file, if it could not be opened.
    """
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    if name in _NO_ROOM:
        return NightsafeError(Code.DISK_FULL, _FULL)
    where = "" if path is None else f" at {path}: check that the file is whole and that this user may write there"
    return NightsafeError(Code.STORE, f"the database failed: {error} ({name}){where}")


def closed_error() -> NightsafeError:
    """Build the error of a call after `close`."""
    return NightsafeError(Code.STORE, "the store is closed")
