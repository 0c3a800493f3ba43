"""The copy that a backup is made of: consistent, and never in the way of who writes."""

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
from nightsafe.store.sqlite.store import LOG_MOST

_ROWS = 200


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A database with a log of its own."""
    path = tmp_path / "source.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL").fetchall()
        db.execute("CREATE TABLE pages (content)")
        db.executemany("INSERT INTO pages VALUES (?)", [("x" * 4000,)] * _ROWS)
    return path


@pytest.fixture
def writer(source: Path) -> Iterator[sqlite3.Connection]:
    """Another process's connection, as good as."""
    with closing(sqlite3.connect(source, isolation_level=None)) as db:
        db.execute("PRAGMA wal_autocheckpoint = 0").fetchall()
        yield db


def test_writes_meanwhile_neither_wait_nor_show(
    source: Path, writer: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One at every step: the copy is finished all the same, in one go, and is what there was at its beginning."""
    steps = 0

    def write(_: Path) -> None:
        """Change every page."""
        nonlocal steps
        steps += 1
        assert steps < _ROWS, "it begins anew at each write"
        writer.execute("UPDATE pages SET content = ?", (f"{steps}" * 4000,))

    monkeypatch.setattr(database_copy, "_STEP_PAGES", 20)
    monkeypatch.setattr(database_copy, "_give_way", write)
    copy_database(source, tmp_path / "copy.db")

    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert [(_ROWS,)] == copy.execute("SELECT count(*) FROM pages WHERE content LIKE 'x%'").fetchall()
        assert [("ok",)] == copy.execute("PRAGMA integrity_check").fetchall()
    assert steps > 5


def test_a_copy_gives_way_before_writes_are_refused(
    source: Path, writer: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends in words once the log is too long, holds nothing from then on, and is made when asked for again."""
    monkeypatch.setattr(database_copy, "_STEP_PAGES", 20)
    monkeypatch.setattr(database_copy, "_MOST_LOG_BYTES", 100_000)
    writer.execute("UPDATE pages SET content = content || 'x'")

    with pytest.raises(CommandError, match="try again when less is being written"):
        copy_database(source, tmp_path / "copy.db")

    assert (0, 0, 0) == writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    copy_database(source, tmp_path / "again.db")


def test_it_gives_way_in_time() -> None:
    """What the server refuses writes at is more, by what is written between two looks."""
    assert database_copy._MOST_LOG_BYTES + (32 << 20) < LOG_MOST * PAGE_BYTES


def test_keys_of_collections_are_found_under_either_name() -> None:
    """A backup of schema 8 names the keys of its items, and so does the migrated database, which keeps the rows."""
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
