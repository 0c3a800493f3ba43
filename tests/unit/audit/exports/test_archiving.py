"""The entries that may be archived: by their age, in whole group commits, and never before a sink has them."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.stores import open_store

from nightsafe.audit.entry import AuditEvent, entry_for
from nightsafe.audit.exports import archiving
from nightsafe.audit.exports.archiving import Held, old_entries, shipped_entries
from nightsafe.audit.sinks.position import Mark, Position, read_marks
from nightsafe.errors import NightsafeError
from nightsafe.services.audit.archiving import archive_change
from nightsafe.store.changes import ArchivedEntries, Change

NOW = 1000


def change(at: int) -> Change:
    """Return a change with an entry at a time."""
    event = AuditEvent(at=at, action="x", actor="y", actor_kind="token", account_id="a" * 32)
    return Change(at=at, audit=entry_for(event))


def write(path: Path, *times: int, archive: tuple[ArchivedEntries, ...] = ()) -> None:
    """Write an entry for each time, and then archive."""

    async def work() -> None:
        """Commit one after the other."""
        store = open_store(path)
        for at in times:
            await store.commit(change(at))
        for entries in archive:
            await store.commit(archive_change(entries, NOW))
        await store.close()

    asyncio.run(work())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a database."""
    return tmp_path / "safe" / "nightsafe.db"


@pytest.fixture
def db(path: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection to the database of a log without entries."""
    write(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        yield db


def old(db: sqlite3.Connection, before: int) -> tuple[int, int]:
    """Return the first and the end of the old entries."""
    found = old_entries(db, before, NOW, lambda _: None)
    return found.first, found.end


@pytest.mark.parametrize(
    ("times", "before", "end"),
    [
        ([], 10, 0),
        ([1, 2, 3], 1, 0),
        ([1, 2, 3], 3, 2),
        ([1, 2, 3], 4, 3),
        ([1, 5, 2, 6], 4, 1),
        ([1, NOW + 9, 2, 6], 4, 3),
        ([1, 2, NOW + 9], 4, 2),
        ([NOW + 9, NOW + 10], 4, 0),
    ],
)
def test_entries_older_than_the_age_are_found(
    db: sqlite3.Connection, path: Path, times: list[int], before: int, end: int
) -> None:
    """The entries end at the first younger one. A time to come ends them not, and is never the last one."""
    write(path, *times)

    assert (0, end) == old(db, before)


def test_the_next_entries_follow_the_archived_ones(
    db: sqlite3.Connection, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One archive has only so many entries, and the next one goes on after it."""
    write(path, *range(1, 8))
    monkeypatch.setattr(archiving, "MOST_ENTRIES", 4)

    assert (0, 4) == old(db, 6)
    write(path, archive=(ArchivedEntries(0, 4),))
    assert (4, 5) == old(db, 6)
    write(path, archive=(ArchivedEntries(4, 5),))
    assert (5, 5) == old(db, 6)


def test_a_group_commit_is_archived_as_a_whole(db: sqlite3.Connection, path: Path) -> None:
    """Entries whose group commit has a younger entry wait for it."""
    write(path, 1, 2, 3, 9)
    db.execute("INSERT INTO log_groups VALUES (1, 4, x'', x'', '', x'')")

    assert (0, 1) == old(db, 4)
    assert (0, 4) == old(db, 10)


def test_a_foreign_entry_is_refused(db: sqlite3.Connection, path: Path) -> None:
    """An entry that cannot be read is named, and nothing is archived."""
    write(path, 1)
    db.execute("DROP TRIGGER audit_is_never_changed")
    db.execute("UPDATE audit SET entry = '[]'")

    with pytest.raises(NightsafeError, match="entry 0 is not one that this program writes"):
        old(db, 4)


def test_entries_that_a_sink_lacks_are_held(db: sqlite3.Connection, path: Path, tmp_path: Path) -> None:
    """Nothing is archived that any sink has not received; a position in another log counts as the beginning."""
    write(path, *range(1, 8))
    leaves = [leaf.hex() for (leaf,) in db.execute("SELECT leaf FROM audit ORDER BY seq")]
    entries, (first, second) = ArchivedEntries(0, 6), (Position(tmp_path, "ab" * 32), Position(tmp_path, "cd" * 32))
    first_file, second_file = sorted(tmp_path.glob("audit-sink-*"))

    def shipped(seq: int, leaf: str) -> tuple[ArchivedEntries, Held | None]:
        """Return the entries that may be archived when the second sink is at a place."""
        second.write(Mark(seq, leaf))
        return shipped_entries(db, entries, read_marks(tmp_path))

    assert (ArchivedEntries(0, 0), Held(0, first_file)) == shipped_entries(
        db, entries, {path: mark for path, mark in read_marks(tmp_path).items() if path == first_file}
    )
    first.write(Mark(7, leaves[6]))
    assert (entries, None) == shipped(7, leaves[6])
    assert (ArchivedEntries(0, 4), Held(4, second_file)) == shipped(4, leaves[3])
    assert (ArchivedEntries(0, 0), Held(0, second_file)) == shipped(4, leaves[4])
    second_file.write_bytes(b"damaged")
    assert (ArchivedEntries(0, 0), Held(0, second_file)) == shipped_entries(db, entries, read_marks(tmp_path))
    assert (entries, None) == shipped_entries(db, entries, {})


def test_an_archiving_has_an_entry_of_its_own(db: sqlite3.Connection, path: Path) -> None:
    """The log says that the operator archived, which entries, and how many are archived by now."""
    write(path, 1, 2, 3, archive=(ArchivedEntries(0, 2),))
    (entry,) = db.execute("SELECT entry FROM audit ORDER BY seq DESC LIMIT 1").fetchone()

    assert b'"action":"audit.archive"' in entry
    assert b'"actor_kind":"operator"' in entry
    assert b'"resource":"0-1"' in entry
    assert b'"archived/entries"' in entry
