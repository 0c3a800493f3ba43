"""The database copy for a backup: it is consistent, and writes do not wait for it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from nightsafe.cli.safe import database_copy
from nightsafe.cli.safe.database_copy import copy_database, key_ids
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.store.sqlite.engine.condition import PAGE_BYTES
from nightsafe.store.sqlite.engine.schema import migrate, migrations
from nightsafe.store.sqlite.store import MAX_LOG_PAGES

_ROWS = 200


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return the path of a database with a write-ahead log."""
    path = tmp_path / "source.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL").fetchall()
        db.execute("CREATE TABLE pages (content)")
        db.executemany("INSERT INTO pages VALUES (?)", [("x" * 4000,)] * _ROWS)
    return path


@pytest.fixture
def writer(source: Path) -> Iterator[sqlite3.Connection]:
    """Yield a second connection, as another process would have."""
    with closing(sqlite3.connect(source, isolation_level=None)) as db:
        db.execute("PRAGMA wal_autocheckpoint = 0").fetchall()
        yield db


def test_writes_do_not_wait_for_a_copy(
    source: Path, writer: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a write at every step, the copy is finished without restarting and has the state of its beginning."""
    steps = 0

    def write(*_: object) -> None:
        """Change every page."""
        nonlocal steps
        steps += 1
        assert steps < _ROWS, "the copy restarts at each write"
        writer.execute("UPDATE pages SET content = ?", (f"{steps}" * 4000,))

    monkeypatch.setattr(database_copy, "_STEP_PAGES", 20)
    monkeypatch.setattr(database_copy, "refuse_large_log", write)
    copy_database(source, tmp_path / "copy.db")

    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert [(_ROWS,)] == copy.execute("SELECT count(*) FROM pages WHERE content LIKE 'x%'").fetchall()
        assert [("ok",)] == copy.execute("PRAGMA integrity_check").fetchall()
    assert steps > 5


def test_a_copy_ends_when_the_log_grows_too_long(
    source: Path, writer: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy during which the log grows too long is refused and releases the log; a new copy then succeeds."""
    monkeypatch.setattr(database_copy, "_STEP_PAGES", 20)
    monkeypatch.setattr(database_copy, "_MAX_LOG_BYTES", 100_000)
    writer.execute("UPDATE pages SET content = content || 'x'")

    with pytest.raises(CommandError, match="try again when less is being written"):
        copy_database(source, tmp_path / "copy.db")

    assert (0, 0, 0) == writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    copy_database(source, tmp_path / "again.db")


def test_a_copy_ends_before_writes_are_refused() -> None:
    """A copy ends before the log is so long that the server refuses writes."""
    assert database_copy._MAX_LOG_BYTES + (32 << 20) < MAX_LOG_PAGES * PAGE_BYTES


def test_key_ids_of_items_are_found_in_either_schema() -> None:
    """The key ids of items are found in a backup of schema 8 and in the migrated database, which keeps the rows."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        for step in migrations()[:8]:
            db.executescript(step)
        db.execute("PRAGMA user_version = 8")
        db.execute("INSERT INTO holders VALUES ('a', 'secrets_store', 's', 'h', '{}', 1, 1)")
        db.execute(
            "INSERT INTO entries VALUES ('a', 'h', 'preview', 'N', 'i', 'secret_text', '{}', 1, 1, 'key-9', x'00')"
        )
        assert {"key-9"} == key_ids(db)

        migrate(db)
        assert {"key-9"} == key_ids(db)
        assert [("h", "preview", "N")] == db.execute("SELECT collection_id, environment, name FROM items").fetchall()
