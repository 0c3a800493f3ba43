"""The position of a sink: durable, locked by one process, and never ahead of what was stored."""

from pathlib import Path

import pytest

from nightsafe.audit.sinks.position import Mark, Position
from nightsafe.errors import NightsafeError

DIGEST = "ab" * 32
LEAF = "f" * 64


def test_a_position_survives(tmp_path: Path) -> None:
    """A new position is the beginning of the log, and a later process reads what was stored."""
    first = Position(tmp_path, DIGEST)
    assert Mark() == first.read()
    for mark in (Mark(9_999, LEAF), Mark(2**63 - 1, LEAF), Mark(7, LEAF)):
        first.write(mark)
        assert mark == Position(tmp_path, DIGEST).read()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff" * 128, b'{"seq":"x","leaf":""}'.ljust(128), b"x" * 4096])
def test_a_damaged_position_is_the_beginning(tmp_path: Path, content: bytes) -> None:
    """A file that cannot be read as a position means the beginning of the log, so that no entry is skipped."""
    position = Position(tmp_path, DIGEST)
    [file] = tmp_path.iterdir()
    file.write_bytes(content)

    assert Mark() == position.read()
    assert Mark() == Position(tmp_path, DIGEST).read()


def test_one_process_has_the_position(tmp_path: Path) -> None:
    """A position can be locked once; the next process gets the lock when the first has ended."""
    first, second = Position(tmp_path, DIGEST), Position(tmp_path, DIGEST)

    assert (True, False) == (first.try_lock(), second.try_lock())
    first.close()
    assert second.try_lock()


def test_the_file_is_private_and_no_link_is_followed(tmp_path: Path) -> None:
    """The file has mode 0600; a link in its place is refused by its name."""
    Position(tmp_path, DIGEST).close()
    [file] = tmp_path.iterdir()
    assert 0o600 == file.stat().st_mode & 0o777
    file.unlink()
    file.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(NightsafeError, match=f"{file.name} cannot be opened"):
        Position(tmp_path, DIGEST)
    assert not (tmp_path / "elsewhere").exists()


def test_sinks_have_their_own_positions(tmp_path: Path) -> None:
    """The positions of two URLs are independent, and the file's name does not contain the URL."""
    for digest in (DIGEST, "cd" * 32):
        Position(tmp_path, digest).write(Mark(int(digest[:2], 16), LEAF))

    assert [0xAB, 0xCD] == [Position(tmp_path, digest).read().seq for digest in (DIGEST, "cd" * 32)]
    assert 2 == len(list(tmp_path.iterdir()))
