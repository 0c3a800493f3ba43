"""Leftovers of interrupted commands: the next command names and removes them, and leaves everything else."""

import os
from contextlib import nullcontext
from pathlib import Path

import pytest

from nightsafe.cli.data_directory.creation_plan import NAME, PREFIX, CreationPlan, write
from nightsafe.cli.data_directory.lock import shared_lock
from nightsafe.cli.data_directory.recovery import recover_and_share
from nightsafe.cli.data_directory.working_folders import WorkingFolder, new_path
from nightsafe.cli.keys.drafts import sweep
from nightsafe.sealing import files


def leftover_folder(where: Path, command: str = "restore") -> Path:
    """Return a folder with a private ring, as a killed command leaves it."""
    workshop = WorkingFolder.create(new_path(where), command)
    (workshop.path / "delivery").mkdir()
    (workshop.path / "delivery" / "private-ring.json").touch()
    workshop.unlock()
    return workshop.path


@pytest.mark.parametrize("served", [False, True])
def test_a_leftover_folder_is_named_and_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, served: bool
) -> None:
    """A leftover folder in, beside or linked from a data directory is removed and named, with its private ring."""
    data, elsewhere = tmp_path / "safe", tmp_path / "elsewhere"
    data.mkdir()
    elsewhere.mkdir()
    folders = [leftover_folder(data), leftover_folder(tmp_path, "init"), leftover_folder(elsewhere, "backup")]
    (data / folders[2].name).symlink_to(folders[2])

    with shared_lock(data) if served else nullcontext(), recover_and_share(data):
        assert [] == list(data.iterdir()) + list(elsewhere.iterdir())

    told = capsys.readouterr().err
    for folder, command in zip(folders, ("restore", "init", "backup"), strict=True):
        assert f"removed {folder}, which an interrupted `nightsafe {command}` left behind" in told
    assert 3 == told.count("; it contained a private ring")
    assert {data, elsewhere} == set(tmp_path.iterdir())


def test_a_folder_in_use_or_without_plan_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder of a running command and one without a plan stay."""
    data = tmp_path / "safe"
    data.mkdir()
    working = WorkingFolder.create(new_path(tmp_path), "restore")
    own = tmp_path / f"{PREFIX}own"
    (own / "delivery").mkdir(parents=True)

    with recover_and_share(data):
        assert {data, working.path, own} == set(tmp_path.iterdir())
    assert "" == capsys.readouterr().err
    working.remove()
    assert {data, own} == set(tmp_path.iterdir())


def test_a_folder_of_another_user_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another user's folder stays, because its names may change while they are read."""
    data = tmp_path / "safe"
    data.mkdir()
    folder = leftover_folder(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)

    with recover_and_share(data):
        assert folder.exists()


def test_a_plan_with_paths_is_ignored(tmp_path: Path) -> None:
    """A plan with paths instead of names is ignored."""
    data = tmp_path / "safe"
    data.mkdir()
    (tmp_path / "kept").mkdir()
    write(data, CreationPlan(command="restore", folder="../kept", aside="../gone"))

    with recover_and_share(data):
        assert (tmp_path / "kept").exists()
        assert (data / NAME).exists()


def test_a_leftover_that_cannot_be_removed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that cannot be removed is named, and the command continues."""
    data = tmp_path / "safe"
    data.mkdir()
    folder = leftover_folder(tmp_path)

    def fail(path: Path) -> None:
        """Fail to remove a file."""
        raise PermissionError(1, "Operation not permitted", str(path))

    monkeypatch.setattr("nightsafe.cli.data_directory.working_folders.remove_folder", fail)
    with recover_and_share(data):
        assert f"{folder} cannot be removed: Operation not permitted" in capsys.readouterr().err


def test_half_written_key_files_are_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Half-written key files are removed unless a process is writing them; files with other names stay."""
    (tmp_path / "delivery").mkdir()
    dead = tmp_path / "delivery" / ".private-ring.json.0123456789abcdef"
    token = tmp_path / ".token.0123456789abcdef"
    other = tmp_path / "delivery" / ".delivery-marks.json.0123456789abcdef"
    for path in (dead, token, other):
        path.touch()
    written = tmp_path / "delivery" / ".private-ring.json.1111111111111111"

    with files._write_draft(written, b"a ring", 0o600):
        sweep(tmp_path)
        assert {written, other} == set((tmp_path / "delivery").iterdir())

    assert not token.exists()
    told = capsys.readouterr().err
    assert f"removed {dead}, which an interrupted command left behind" in told
    assert f"removed {token}, which an interrupted command left behind" in told
