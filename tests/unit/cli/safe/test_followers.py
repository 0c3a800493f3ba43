"""What a restore carries over from the renamed safe: the marks of delivery and the positions of audit sinks."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from nightsafe.audit.sinks.position import Mark, Position
from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.safe.followers import carry_over

_DIGEST = "0123456789abcdef"


def directory(path: Path, leaves: str) -> DataDirectory:
    """Make a data directory whose log has these leaf hashes, one byte each."""
    made = DataDirectory(path)
    made.marks.parent.mkdir(parents=True)
    with closing(sqlite3.connect(made.database)) as db:
        db.execute("CREATE TABLE audit (seq INTEGER PRIMARY KEY, leaf BLOB)")
        db.executemany("INSERT INTO audit (leaf) VALUES (?)", [(leaf.encode(),) for leaf in leaves])
        db.commit()
    return made


def position(data: Path, mark: Mark | None = None) -> Mark:
    """Write the position of a sink, or read it."""
    opened = Position(data, _DIGEST)
    try:
        if mark is not None:
            opened.write(mark)
        return opened.read()
    finally:
        opened.close()


@pytest.mark.parametrize(
    ("accepted", "restored", "expected"),
    [
        (4, "abc", Mark(3, b"c".hex())),  # the restored log is shorter: its last entry
        (2, "abc", Mark(2, b"b".hex())),  # the sink is behind the backup: as it was
        (4, "abx", Mark()),  # another log: the beginning
        (4, "", Mark()),
        (0, "abc", Mark()),
    ],
)
def test_a_position_is_carried_as_far_as_the_restored_log_has_it(
    tmp_path: Path, accepted: int, restored: str, expected: Mark
) -> None:
    """A sink continues after the last entry that it has accepted and the restored log has."""
    old, new = directory(tmp_path / "old", "abcd"), directory(tmp_path / "new", restored)
    position(old.path, Mark(accepted, "abcd"[accepted - 1].encode().hex()) if accepted else Mark())

    names = carry_over(old, old.database, new)

    assert ((f"audit-sink-{_DIGEST}",) if expected.seq else ()) == names
    assert expected == position(new.path)


def test_a_damaged_old_database_starts_a_sink_over(tmp_path: Path) -> None:
    """When the old log cannot be read, a sink that was ahead gets the whole log again, so that none is skipped."""
    old, new = directory(tmp_path / "old", "abcd"), directory(tmp_path / "new", "abc")
    position(old.path, Mark(4, b"d".hex()))
    old.database.write_bytes(b"no database" * 1000)

    assert () == carry_over(old, old.database, new)
    assert Mark() == position(new.path)


def test_the_marks_are_carried_as_they_are(tmp_path: Path) -> None:
    """The marks of the account and of scripts keep their content and get mode 0600; other files stay behind."""
    old, new = directory(tmp_path / "old", "abcd"), directory(tmp_path / "new", "abc")
    scripts = "delivery-marks-scripts.db"
    old.marks.write_bytes(b"marks")
    old.marks.with_name(scripts).write_bytes(b"scripts")
    old.marks.with_name("delivery-marks.json.lock").write_bytes(b"")
    (old.path / "audit-sink-notes").write_bytes(b"")

    assert (f"delivery/{scripts}", "delivery/delivery-marks.json") == carry_over(old, old.database, new)
    for path, content in ((new.marks, b"marks"), (new.marks.with_name(scripts), b"scripts")):
        assert (content, 0o100600) == (path.read_bytes(), path.stat().st_mode)
    assert 2 == len(list(new.marks.parent.iterdir()))
