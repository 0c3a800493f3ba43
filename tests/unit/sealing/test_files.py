"""Key files: written whole or not at all, and read only if no other user could have changed them."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing import files

each_kind = pytest.mark.parametrize("private", [True, False], ids=["private", "public"])


@contextmanager
def refused(*words: str) -> Iterator[None]:
    """Check that the block is refused as INVALID, with these words in the message."""
    with pytest.raises(NightsafeError) as caught:
        yield
    assert Code.INVALID is caught.value.code
    assert all(word in caught.value.problems[0].detail for word in words), caught.value


def file_with_mode(path: Path, mode: int) -> Path:
    """Return a new file with this mode."""
    path.write_bytes(b"old")
    path.chmod(mode)
    return path


@each_kind
@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_a_file_has_its_mode_from_the_first_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, private: bool, mask: int
) -> None:
    """With any umask, the mode is never too wide, and exact at the end."""
    path, wanted, at_creation = tmp_path / "ring", 0o600 if private else 0o644, []
    real = os.fchmod

    def note_mode(descriptor: int, mode: int) -> None:
        at_creation.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        real(descriptor, mode)

    monkeypatch.setattr(os, "fchmod", note_mode)
    before = os.umask(mask)
    try:
        files.write(path, b"new", private=private, replace=False)
    finally:
        os.umask(before)
    assert [wanted & ~mask] == at_creation
    assert wanted == stat.S_IMODE(path.stat().st_mode)
    assert files.read(path, private=private) == b"new"


@each_kind
def test_a_file_is_replaced_only_when_asked(tmp_path: Path, *, private: bool) -> None:
    """An existing key is overwritten only when asked."""
    path = file_with_mode(tmp_path / "ring", 0o600)
    with refused(str(path), "already exists"):
        files.write(path, b"new", private=private, replace=False)
    assert path.read_bytes() == b"old"
    files.write(path, b"new", private=private, replace=True)
    assert path.read_bytes() == b"new"
    assert [path] == list(tmp_path.iterdir())


@pytest.mark.parametrize("call", ["open", "fchmod", "fsync"])
@pytest.mark.parametrize("exists", [True, False])
def test_a_failed_write_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, call: str, exists: bool
) -> None:
    """When the disk fails, the old file stays and no other file is left."""
    path = tmp_path / "ring"
    if exists:
        file_with_mode(path, 0o600)

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, fail)
    with refused(str(path), os.strerror(errno.ENOSPC)):
        files.write(path, b"new", private=True, replace=True)
    assert [path] * exists == list(tmp_path.iterdir())
    assert not exists or path.read_bytes() == b"old"


def test_the_file_is_synced_before_its_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is synced first, then renamed, then the directory is synced."""
    path, order, real = tmp_path / "ring", [], os.fsync

    def note(descriptor: int) -> None:
        kind = "directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        order.append((kind, path.exists()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    files.write(path, b"new", private=True, replace=False)
    assert order == [("file", False), ("directory", True)]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o644, 0o666, 0o777])
def test_a_private_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    """Any permission for group or others is refused, with the mode and the remedy."""
    with refused(f"{mode:04o}", "chmod"):
        files.read(file_with_mode(tmp_path / "ring", mode), private=True)


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666, 0o622])
def test_a_public_file_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    """A public file that others may write is refused, because they could replace the key."""
    with refused(f"{mode:04o}", "chmod 0644" if mode != 0o622 else "chmod 0600"):
        files.read(file_with_mode(tmp_path / "ring", mode), private=False)


@pytest.mark.parametrize(("mode", "private"), [(0o600, True), (0o400, True), (0o644, False), (0o600, False)])
def test_files_with_safe_modes_are_read(tmp_path: Path, *, mode: int, private: bool) -> None:
    """Narrower modes than the usual ones are accepted."""
    assert files.read(file_with_mode(tmp_path / "ring", mode), private=private) == b"old"


@each_kind
def test_another_users_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, private: bool) -> None:
    """A file that belongs neither to this user nor to root is refused."""
    path, real, owner = file_with_mode(tmp_path / "ring", 0o600), os.fstat, os.geteuid() + 4242

    def as_other(descriptor: int) -> os.stat_result:
        fields = list(real(descriptor))
        fields[4] = owner
        return os.stat_result(fields)

    monkeypatch.setattr(os, "fstat", as_other)
    with refused(str(owner), "root"):
        files.read(path, private=private)
    monkeypatch.setattr(os, "geteuid", lambda: owner)
    assert files.read(path, private=private) == b"old"


@each_kind
def test_anything_but_a_small_regular_file_is_refused(tmp_path: Path, *, private: bool) -> None:
    """An absent file, a directory, a pipe and a file that is too large are refused; the pipe without waiting."""
    pipe, large = tmp_path / "pipe", tmp_path / "large"
    os.mkfifo(pipe, 0o600)
    file_with_mode(large, 0o600).write_bytes(bytes((1 << 20) + 1))
    for path, words in [
        (tmp_path / "nothing", "cannot be read"),
        (tmp_path, "cannot be read"),
        (pipe, "regular"),
        (large, "large"),
    ]:
        with refused(str(path), words):
            files.read(path, private=private)


def test_a_link_is_followed_and_its_target_checked(tmp_path: Path) -> None:
    """A link, as mounted secrets often are, is followed, and its target's mode is checked."""
    target, link = file_with_mode(tmp_path / "target", 0o600), tmp_path / "link"
    link.symlink_to(target)
    assert files.read(link, private=True) == b"old"
    target.chmod(0o644)
    with refused("0644"):
        files.read(link, private=True)
