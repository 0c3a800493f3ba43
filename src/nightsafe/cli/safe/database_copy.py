"""Reads or copies a safe's database in one process while another process may serve it."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from nightsafe.audit.entry import AuditEvent
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.store.sqlite.engine.schema import migrations

_WAIT_SECONDS: Final = 10.0
_STEP_PAGES: Final = 2048
_LEAST_FREE: Final = 1 << 20
_PRIMARY_CODE: Final = 0xFF
_MAX_LOG_BYTES: Final = 192 << 20
"""Stop a copy when the write-ahead log is larger than this. The server refuses writes at 264 MB."""

_COUNTS: Final = {
    "accounts": "SELECT count(*) FROM accounts",
    "scripts": "SELECT count(*) FROM scripts",
    "secrets": "SELECT count(*) FROM bindings WHERE sealed IS NOT NULL",
}
_UNSCOPED: Final = "SELECT entry FROM audit WHERE account_id = ''"
_NEWEST: Final = "SELECT max(created_on) FROM versions"
_KEY_IDS: Final = {
    "bindings": "SELECT DISTINCT key_id FROM bindings",
    "binding_history": "SELECT DISTINCT key_id FROM binding_history",
    "entries": "SELECT DISTINCT key_id FROM entries",  # the table's name before schema 9
    "items": "SELECT DISTINCT key_id FROM items",
}


@contextmanager
def open_read_only(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a read-only connection.

    Raises:
        CommandError: if the file is not a database or cannot be read.
    """
    try:
        # Not `mode=ro`: SQLite needs write access to recover the log of a killed server.
        uri = f"{path.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(uri, uri=True, timeout=_WAIT_SECONDS, isolation_level=None)) as db:
            db.execute("PRAGMA query_only = ON")
            db.execute("PRAGMA trusted_schema = OFF")
            yield db
    except sqlite3.Error as error:
        raise CommandError(f"{path} cannot be read: {error}{_way_out(path.parent)}") from None


def _way_out(folder: Path) -> str:
    """Return what to do about a folder in which SQLite cannot write its own files beside a database; or ""."""
    if not os.access(folder, os.W_OK):
        return f"; SQLite also writes in {folder}, which this user may not: copy it to another place, and name that"
    with suppress(OSError):
        if shutil.disk_usage(folder).free < _LEAST_FREE:
            return "; the disk is full: free some space"
    return ""


def copy_database(source: Path, target: Path) -> None:
    """Copy a database to one file, consistently, while other processes read and write it.

    One read transaction covers all pages. With a transaction per step, a busy writer could make the copy start again
    for ever. The write-ahead log grows while the transaction lasts, and above some size the server would refuse
    writes. The copy stops before that.

    Raises:
        CommandError: if the database cannot be copied, or the copy was stopped.
    """
    log = source.with_name(f"{source.name}-wal")
    target.touch(mode=0o600)
    with open_read_only(source) as db, closing(sqlite3.connect(target, isolation_level=None)) as copy:
        copy.execute("PRAGMA synchronous = OFF")  # a copy that a crash interrupts is useless anyway
        db.execute("BEGIN")
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()  # this fixes the snapshot
        try:
            db.backup(copy, pages=_STEP_PAGES, progress=lambda *_: refuse_large_log(log, "copy"))
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & _PRIMARY_CODE not in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}:
                raise
            size = source.stat().st_size >> 20
            raise CommandError(
                f"there is no room for a copy of {size} MB in {target.parent}: free some space"
            ) from None
        db.execute("COMMIT")
        copy.execute("PRAGMA journal_mode = DELETE").fetchall()


def refuse_large_log(log: Path, work: str) -> None:
    """Give work up if the write-ahead log is so large that the server would soon refuse writes.

    Args:
        log: the write-ahead log.
        work: the work, for example `copy`.

    Raises:
        CommandError: if it is that large.
    """
    with suppress(FileNotFoundError):
        if log.stat().st_size > _MAX_LOG_BYTES:
            raise CommandError(
                f"during the {work} {log} has grown to {log.stat().st_size >> 20} MB, and the server would soon "
                f"refuse writes: the {work} was stopped and nothing was changed; try again when less is being written"
            )


def integrity_problems(db: sqlite3.Connection, *, thorough: bool) -> list[str]:
    """Return SQLite's complaints about a database's structure; empty if it is sound.

    Args:
        db: the database.
        thorough: whether to compare indexes with their tables, which takes longer.
    """
    check = "integrity_check" if thorough else "quick_check"
    problems = [str(row[0]) for row in db.execute(f"PRAGMA {check}(10)")]
    return [] if problems == ["ok"] else problems


def schema_of(db: sqlite3.Connection) -> int:
    """Return the schema version of a database."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def newest_schema() -> int:
    """Return the newest schema version that this program knows."""
    return len(migrations())


def counts(db: sqlite3.Connection) -> dict[str, int]:
    """Count accounts, scripts and secrets."""
    return {name: int(db.execute(statement).fetchone()[0]) for name, statement in _COUNTS.items()}


def newest_change(db: sqlite3.Connection) -> int:
    """Return when the newest version was created, in microseconds since 1970 UTC; 0 if there is no version."""
    return int(db.execute(_NEWEST).fetchone()[0] or 0)


def key_ids(db: sqlite3.Connection) -> set[str]:
    """Return the IDs of the keys that values are sealed to."""
    tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    statements = [
        statement for table, statement in _KEY_IDS.items() if table in tables
    ]  # an older schema lacks some tables
    return {row[0] for statement in statements for row in db.execute(statement) if row[0]}


def ring_history(db: sqlite3.Connection) -> tuple[int, frozenset[str]]:
    """Return the highest number of a public ring that was in use, and the IDs of the retired keys."""
    tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    number = db.execute("SELECT number FROM ring").fetchone()[0] if "ring" in tables else 0
    retired = db.execute("SELECT id FROM retired_keys").fetchall() if "retired_keys" in tables else []
    return number, frozenset(key_id for (key_id,) in retired)


def used_primaries(db: sqlite3.Connection) -> set[str]:
    """Return the IDs of the primary keys of the public rings that were in use, as far as the log still has them."""
    found = set()
    for (entry,) in db.execute(_UNSCOPED):
        with suppress(msgspec.DecodeError):
            event = msgspec.json.decode(entry, type=AuditEvent)
            if event.action == "keys.ring":
                found.add(event.resource)
    return found
