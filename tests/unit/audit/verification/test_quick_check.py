"""The quick check finds changes of the newest part of the log."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.unit.audit.tools.archived_safe import archive
from tests.unit.audit.tools.filled_safe import KEYS, change, fill, opened

from nightsafe.audit.verification.difference import DifferenceError
from nightsafe.audit.verification.quick_check import check_quickly


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return a database with a log of several tiles."""
    return fill(tmp_path_factory.mktemp("filled"))


@pytest.fixture
def db(database: bytes) -> Iterator[sqlite3.Connection]:
    """Yield a copy of the database."""
    with closing(opened(database)) as db:
        yield db


def test_an_unchanged_log_passes(db: sqlite3.Connection) -> None:
    """The check returns the number of entries."""
    assert db.execute("SELECT count(*) FROM audit").fetchone()[0] == check_quickly(db, KEYS)


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("UPDATE audit SET leaf = zeroblob(32) WHERE seq = 200", "the text of entry 199"),
        ("DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)", "the log's head says"),
        ("DELETE FROM audit WHERE seq = 200", "entry 199 of the log is missing"),
        ("UPDATE log_nodes SET hash = zeroblob(32)", "the tree of the log's head"),
        ("UPDATE log_head SET size = size + 1", "the log's head says"),
        ("UPDATE log_head SET checkpoint = x''", "the log's checkpoint"),
        ("DELETE FROM log_head", "the log's head is missing"),
        ("UPDATE log_groups SET signature = zeroblob(64)", "no given key has signed"),
        (
            "INSERT INTO log_groups SELECT 9000, 9001, root, digests, signer, signature FROM log_groups LIMIT 1",
            "9001",
        ),
        ("UPDATE audit SET entry = 7", "a row of the log has a form"),
    ],
)
def test_changes_of_the_newest_part_are_found(db: sqlite3.Connection, sql: str, words: str) -> None:
    """Each change is found, and the refusal names it."""
    change(db, sql)

    with pytest.raises(DifferenceError) as refusal:
        check_quickly(db, KEYS)

    assert words in refusal.value.what


def test_archived_entries_pass_and_emptied_ones_do_not(tmp_path: Path) -> None:
    """Archived entries may be without their text, and others may not."""
    database, _ = archive(tmp_path, fill(tmp_path, secrets=3), 20)
    with closing(opened(database)) as db:
        assert db.execute("SELECT count(*) FROM audit").fetchone()[0] == check_quickly(db, KEYS)
        change(db, "UPDATE audit SET entry = x'' WHERE seq = (SELECT archived + 1 FROM log_head)")
        with pytest.raises(DifferenceError, match="does not say that it was archived"):
            check_quickly(db, KEYS)
