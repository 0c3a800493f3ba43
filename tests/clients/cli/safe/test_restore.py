"""Targets that `nightsafe backup` and `restore` must not replace, and restores that fail."""

import errno
import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.clients.cli.safe.test_backup import NAMES, at_terminal, backed_up
from tests.server import NIGHTSAFE, Safe

import nightsafe.cli.data_directory.placement
import nightsafe.cli.safe.backup
import nightsafe.cli.safe.restore
from nightsafe.cli.main import cli


def test_a_failed_restore_leaves_the_old_safe_in_place(safe: Safe, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the new safe cannot be put in place, the old one is still there and nothing is left beside it."""
    folder, file = safe.path.parent, backed_up(safe)
    before = sorted(path.name for path in folder.iterdir())

    def fail(source: Path, target: Path) -> None:
        """Fail in the last step."""
        raise OSError(errno.ENOSPC, f"{source} and {target}")

    monkeypatch.setattr(nightsafe.cli.data_directory.placement, "swap_directories", fail)
    done = CliRunner().invoke(nightsafe.cli.safe.restore.command, [str(file), "--data", str(safe.path), "--force"])

    assert (1, True) == (done.exit_code, "cannot be created" in done.output), done.output
    assert before == sorted(path.name for path in folder.iterdir())
    assert safe.database.exists()


def make_symlink(path: Path) -> None:
    """Make a link to a file with content."""
    path.with_name("kept").write_text("kept")
    path.symlink_to("kept")


def make_dangling_symlink(path: Path) -> None:
    """Make a link to a path that does not exist."""
    path.symlink_to("nothing")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (make_symlink, "is a symbolic link: name its target"),
        (make_dangling_symlink, "is a symbolic link: name its target"),
        (os.mkfifo, "is not a regular file: to write into it, use: nightsafe backup - > FILE"),
        (Path.mkdir, "is a directory"),
    ],
)
@pytest.mark.parametrize("force", [(), ("--force",)])
def test_links_pipes_and_directories_are_never_replaced(
    new_safe: Safe, tmp_path: Path, make: Callable[[Path], None], words: str, force: tuple[str, ...]
) -> None:
    """A link, a named pipe or a directory is not replaced, even with `--force`; nothing changes."""
    target = tmp_path / "target"
    make(target)
    before = state(tmp_path)

    done = in_process("backup", target, "--data", new_safe.path, *force)

    assert (True, True) == (done.exit_code in {1, 2}, words in done.output), done.output
    assert before == state(tmp_path)


def state(folder: Path) -> dict[Path, tuple[int, ...]]:
    """Return everything below a folder, with the fields that change when it is written to or replaced."""
    found = {path: path.lstat() for path in folder.rglob("*")}
    return {path: (kept.st_ino, kept.st_mode, kept.st_size, kept.st_mtime_ns) for path, kept in found.items()}


def in_process(command: str, *arguments: object) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(cli, [command, *map(str, arguments)])


@pytest.mark.parametrize("device", ["/dev/null", "/dev/full"])
def test_a_device_is_never_replaced(new_safe: Safe, device: str) -> None:
    """`backup --force` refuses a device, since it would become a file for every program."""
    done = in_process("backup", device, "--data", new_safe.path, "--force")

    assert (1, True) == (done.exit_code, "is not a regular file" in done.output), done.output
    assert stat.S_ISCHR(os.stat(device).st_mode)  # noqa: PTH116 - a device


@pytest.mark.parametrize("name", ["nightsafe.db", "keys/signing-key.json", "backup.tar"])
def test_a_backup_into_its_own_data_directory_is_refused(safe: Safe, tmp_path: Path, name: str) -> None:
    """A backup in the data directory, or through a link to it, is refused: it could replace a key or be lost."""
    (tmp_path / "link").symlink_to(safe.path)
    before = state(safe.path)

    for place in (safe.path, tmp_path / "link"):
        done = in_process("backup", place / name, "--data", safe.path, "--force")
        assert (1, True) == (done.exit_code, "would be in the data directory" in done.output), done.output

    assert before == state(safe.path)


def test_a_pipe_that_appears_during_the_backup_is_kept(
    safe: Safe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that appears at the target during the backup is not replaced."""
    target, pack = tmp_path / "backup.tar", nightsafe.cli.safe.backup._pack

    def slow(*arguments: Any) -> None:
        """Put a named pipe at the target first."""
        pack(*arguments)
        os.mkfifo(target)

    monkeypatch.setattr(nightsafe.cli.safe.backup, "_pack", slow)
    done = in_process("backup", target, "--data", safe.path, "--force")

    assert (1, True) == (done.exit_code, "is not a regular file" in done.output), done.output
    assert stat.S_ISFIFO(target.stat().st_mode)


@pytest.mark.parametrize("force", [(), ("--force",)])
def test_a_backup_is_synced_before_it_is_reported(
    new_safe: Safe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, force: tuple[str, ...]
) -> None:
    """The directory is synced after the file has its name and before `backup` reports success."""
    synced, seen = tmp_path / "backup.tar", []
    monkeypatch.setattr(nightsafe.cli.safe.backup, "sync", lambda folder: seen.append((folder, synced.exists())))
    monkeypatch.setattr(nightsafe.cli.safe.backup, "say", seen.append)

    assert 0 == in_process("backup", synced, "--data", new_safe.path, *force).exit_code

    assert (tmp_path, True) == seen[0]
    assert "Copied " in str(seen[1])


def test_backup_and_restore_work_through_pipes(new_safe: Safe, tmp_path: Path) -> None:
    """`backup -` writes a normal backup, which `restore -` reads; a full disk behind the pipe is reported."""
    data = ("--data", str(new_safe.path))
    before = set(new_safe.path.iterdir())
    written = subprocess.run([*NIGHTSAFE, "backup", "-", *data], capture_output=True, check=False, cwd=tmp_path)
    assert (0, True) == (written.returncode, b" to standard output" in written.stderr), written.stderr

    read = subprocess.run(
        [*NIGHTSAFE, "restore", "-", "--data", "again"], input=written.stdout, capture_output=True, check=False,
        cwd=tmp_path,
    )  # fmt: skip
    assert 0 == read.returncode, read.stderr
    assert sorted(NAMES) == sorted(
        str(path.relative_to(tmp_path / "again")) for path in (tmp_path / "again").rglob("*") if path.is_file()
    )
    with Path("/dev/full").open("wb") as full:
        failed = subprocess.run([*NIGHTSAFE, "backup", "-", *data], stdout=full, stderr=subprocess.PIPE, check=False)
    assert 1 == failed.returncode
    assert b"nightsafe: standard output cannot be written: No space left on device\n" == failed.stderr
    assert before == set(new_safe.path.iterdir())


def test_backups_are_refused_at_terminals(new_safe: Safe, tmp_path: Path) -> None:
    """A backup is not written to a terminal, read from one, or mixed with JSON output."""
    code, shown = at_terminal(tmp_path, "backup", "-", "--data", str(new_safe.path))
    assert (1, True) == (code, "standard output is a terminal" in shown)
    code, shown = at_terminal(tmp_path, "restore", "-", "--data", "again")
    assert (1, True) == (code, "standard input is a terminal" in shown)
    done = in_process("backup", "-", "--data", new_safe.path, "--json")
    assert (2, True) == (done.exit_code, "--json prints to standard output" in done.output)
    assert [] == list(tmp_path.iterdir())


def test_restore_works_within_a_volume(safe: Safe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a volume old files move to a subdirectory, the private ring stays usable, and a second restore works."""
    archive = backed_up(safe)
    ring = safe.private_ring.read_bytes()
    monkeypatch.setattr(nightsafe.cli.safe.restore, "must_be_inside", lambda _: True)
    inode = safe.path.stat().st_ino

    for number in (1, 2):
        done = in_process("restore", archive, "--data", safe.path, "--force")
        assert 0 == done.exit_code, done.output
        asides = [path for path in safe.path.iterdir() if path.name.startswith("before-")]
        assert number == len(asides)
        assert {ring} == {path.read_bytes() for path in safe.path.rglob("private-ring.json")}
        assert all((path / "nightsafe.db").exists() for path in [safe.path, *asides])
    assert inode == safe.path.stat().st_ino
    assert {safe.path, archive} == set(safe.path.parent.iterdir()) - {tmp_path / "stdout.log"}
