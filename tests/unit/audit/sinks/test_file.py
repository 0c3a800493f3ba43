"""The sink in a file: whole lines, durable before they count, and never in a file that others control."""

import os
from functools import partial
from pathlib import Path

import pytest
from tests.shipped import shipped_event

from nightsafe.audit.entry import AuditEvent
from nightsafe.audit.sinks.file import FileSender, check_file, open_checked_file, open_file
from nightsafe.audit.sinks.shipment import Shipped, json_lines
from nightsafe.errors import NightsafeError

_NOBODY = 65534


def entries(first: int, last: int) -> list[Shipped]:
    """Return entries with the numbers from `first` to `last`."""
    events = [AuditEvent(at=number, action="a", actor="b", actor_kind="c", account_id="d") for number in range(99)]
    return [shipped_event(number, events[number]) for number in range(first, last + 1)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a log that does not exist yet."""
    (tmp_path / "logs").mkdir(mode=0o700)
    return tmp_path / "logs" / "audit.jsonl"


def test_batches_are_appended_as_lines(path: Path) -> None:
    """Batches are appended, one JSON object a line, to a file of mode 0600; existing lines stay."""
    sender = FileSender(partial(open_file, path))
    sender.send(entries(1, 2))
    sender.send(entries(3, 3))
    FileSender(partial(open_file, path)).send(entries(4, 4))

    assert json_lines(entries(1, 4)) == path.read_bytes()
    assert 0o600 == path.stat().st_mode & 0o777


def test_a_batch_is_on_disk_before_it_counts(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`send` syncs the whole batch before it returns; if that fails, the batch does not count as accepted."""
    sizes: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: sizes.append(os.fstat(descriptor).st_size))
    sender = FileSender(partial(open_file, path))
    sender.send(entries(1, 3))
    assert len(json_lines(entries(1, 3))) == sizes[-1]

    def fail(_: int) -> None:
        """Fail as a broken disk does."""
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output"):
        sender.send(entries(4, 4))


def test_a_rotated_file_is_left_after_reopen(path: Path) -> None:
    """After a rename entries go on to the old file until the sink is reopened, then to a new one."""
    sender, old = FileSender(partial(open_file, path)), path.with_suffix(".1")
    sender.send(entries(1, 1))
    path.rename(old)
    sender.send(entries(2, 2))
    sender.reopen()
    sender.send(entries(3, 3))

    assert (json_lines(entries(1, 2)), json_lines(entries(3, 3))) == (old.read_bytes(), path.read_bytes())


def test_a_removed_file_is_made_again(path: Path) -> None:
    """Entries are never written to a file that was removed."""
    sender = FileSender(partial(open_file, path))
    sender.send(entries(1, 1))
    path.unlink()
    sender.send(entries(2, 2))

    assert json_lines(entries(2, 2)) == path.read_bytes()


def test_an_incomplete_line_is_ended(path: Path) -> None:
    """A line that a killed process left incomplete gets its end, so that the next entry has a line of its own."""
    path.touch(mode=0o600)
    path.write_bytes(json_lines(entries(1, 1))[:-20])
    FileSender(partial(open_file, path)).send(entries(1, 1))

    assert [json_lines(entries(1, 1))[:-20] + b"\n", json_lines(entries(1, 1))] == path.read_bytes().splitlines(True)


def test_files_that_others_control_are_refused(path: Path, tmp_path: Path) -> None:
    """A link, a directory, a pipe, a readable file, a shared folder or an absent folder is refused, with the path."""
    target = tmp_path / "target"
    path.symlink_to(target)
    refuse(path, "cannot be opened: Too many levels of symbolic links")
    assert not target.exists()
    path.unlink()
    path.mkdir()
    refuse(path, "cannot be opened: Is a directory")
    path.rmdir()
    os.mkfifo(path, 0o600)
    refuse(path, "is not a regular file")
    path.unlink()
    path.touch(mode=0o640)
    refuse(path, f"has mode 0640; run: chmod 0600 {path}")
    path.unlink()
    path.parent.chmod(0o777)
    refuse(path, f"others may write to {path.parent}")
    path.parent.chmod(0o700)
    refuse(path.parent / "absent" / "x.jsonl", "No such file or directory")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_files_of_another_user_are_refused(path: Path) -> None:
    """A file that another user made first, or a folder of another user, is refused."""
    path.touch(mode=0o600)
    os.chown(path, _NOBODY, -1)
    refuse(path, f"belongs to user {_NOBODY}")
    path.unlink()
    os.chown(path.parent, _NOBODY, -1)
    refuse(path, f"{path.parent} belongs to user {_NOBODY}")


def refuse(path: Path, words: str) -> None:
    """Check that a file is refused with its path and these words."""
    with pytest.raises(NightsafeError) as refused:
        check_file(path, Path("/nonexistent-data"))
    assert str(path) in refused.value.problems[0].detail
    assert words in refused.value.problems[0].detail


def test_a_file_in_the_data_directory_is_refused(tmp_path: Path) -> None:
    """A file in the data directory, also through a link, is refused: it could be the database."""
    data = tmp_path / "safe"
    data.mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(data)
    for path in (data / "nightsafe.db", tmp_path / "link" / "x.jsonl", data / ".." / "safe" / "x.jsonl"):
        with pytest.raises(NightsafeError, match="is inside the data directory"):
            check_file(path, data)
    assert [] == list(data.iterdir())


def test_a_file_that_became_unsafe_is_not_written(path: Path) -> None:
    """A file that a rotation made readable for others is not written; the error does not end the helper process."""
    path.touch(mode=0o644)

    with pytest.raises(PermissionError):
        FileSender(partial(open_checked_file, path)).send(entries(1, 1))
    assert b"" == path.read_bytes()
