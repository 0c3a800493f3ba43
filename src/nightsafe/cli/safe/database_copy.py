"""Looking at the database of a safe from a process that does not serve it, and copying it while another serves it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from nightsafe.cli.terminal.errors import CommandError
from nightsafe.store.sqlite.engine.schema import migrations

_WAIT_SECONDS: Final = 10.0
_STEP_PAGES: Final = 2048
_MOST_LOG_BYTES: Final = 192 << 20
"""Of the log, while a copy is made; the server refuses writes at 264 MB."""

_COUNTS: Final = {
    "accounts": "SELECT count(*) FROM accounts",
    "scripts": "SELECT count(*) FROM scripts",
    "secrets": "SELECT count(*) FROM bindings WHERE sealed IS NOT NULL",
}
_NEWEST: Final = "SELECT max(created_on) FROM versions"
_KEY_IDS: Final = {
    "bindings": "SELECT DISTINCT key_id FROM bindings",
    "binding_history": "SELECT DISTINCT key_id FROM binding_history",
    "entries": "SELECT DISTINCT key_id FROM entries",  # as schemas before 9 call them
    "items": "SELECT DISTINCT key_id FROM items",
}


@contextmanager
def looked_at(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that changes nothing.

    Raises:
        CommandError: when the file is no database, or cannot be read.
    """
    try:
        # Not `mode=ro`: a log that a killed server left can be read only by who may tidy up after it.
        uri = f"{path.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(uri, uri=True, timeout=_WAIT_SECONDS, isolation_level=None)) as db:
            db.execute("PRAGMA query_only = ON")
            db.execute("PRAGMA trusted_schema = OFF")
            yield db
    except sqlite3.Error as error:
        raise CommandError(f"{path} cannot be read: {error}") from None


def copy_database(source: Path, target: Path) -> None:
    """A consistent copy of a database, in one file, while others read and write it.

    All pages are copied in one read transaction: in one for each step, a busy writer would make it begin again for
    ever. As long as it lasts the write-ahead log grows, and from some length on the server would refuse writes. So
    the copy is given up before that.

    Raises:
        CommandError: when it cannot be copied, or is given up.
    """
    log = source.with_name(f"{source.name}-wal")
    target.touch(mode=0o600)
    with looked_at(source) as db, closing(sqlite3.connect(target, isolation_level=None)) as copy:
        copy.execute("PRAGMA synchronous = OFF")  # a copy that the machine's end cuts short is none in any case
        db.execute("BEGIN")
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()  # from here on it sees one state
        db.backup(copy, pages=_STEP_PAGES, progress=lambda *_: _give_way(log))
        db.execute("COMMIT")
        copy.execute("PRAGMA journal_mode = DELETE").fetchall()


def _give_way(log: Path) -> None:
    """Give a copy up that holds so much of a log that the server will refuse writes.

    Raises:
        CommandError: when it does.
    """
    with suppress(FileNotFoundError):
        if log.stat().st_size > _MOST_LOG_BYTES:
            raise CommandError(
                f"so much is written meanwhile that {log} has {log.stat().st_size >> 20} MB, and the server would "
                "soon refuse writes: the copy is given up, and nothing was changed; try again when less is written"
            )


def complaints(db: sqlite3.Connection, *, thorough: bool) -> list[str]:
    """What is wrong with a database's structure.

    Args:
        db: the database.
        thorough: whether indexes are compared with their tables, which takes longer.
    """
    check = "integrity_check" if thorough else "quick_check"
    found = [str(row[0]) for row in db.execute(f"PRAGMA {check}(10)")]
    return [] if found == ["ok"] else found


def schema_of(db: sqlite3.Connection) -> int:
    """The version of a database's schema."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def newest_schema() -> int:
    """The version that this program makes."""
    return len(migrations())


def counts(db: sqlite3.Connection) -> dict[str, int]:
    """How much there is."""
    return {what: int(db.execute(statement).fetchone()[0]) for what, statement in _COUNTS.items()}


def newest_change(db: sqlite3.Connection) -> int:
    """When the newest version was made, in microseconds since 1970 UTC; 0 without any."""
    return int(db.execute(_NEWEST).fetchone()[0] or 0)


def key_ids(db: sqlite3.Connection) -> set[str]:
    """The ids of the keys that values are sealed to."""
    there = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    wanted = [statement for table, statement in _KEY_IDS.items() if table in there]  # an older schema has fewer
    return {row[0] for statement in wanted for row in db.execute(statement) if row[0]}


def ring_history(db: sqlite3.Connection) -> tuple[int, frozenset[str]]:
    """The greatest number of a public ring that was in use, and the ids of the keys that were retired."""
    there = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    number = db.execute("SELECT number FROM ring").fetchone()[0] if "ring" in there else 0
    retired = db.execute("SELECT id FROM retired_keys").fetchall() if "retired_keys" in there else []
    return number, frozenset(key_id for (key_id,) in retired)
