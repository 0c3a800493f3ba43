"""What interrupted commands leave is named and removed by the next one; what is in use, or not theirs, stays."""

import os
from contextlib import nullcontext
from pathlib import Path

import pytest

from nightsafe.cli.data_directory.lock import shared
from nightsafe.cli.data_directory.recovery import used
from nightsafe.cli.data_directory.unfinished import NAME, PREFIX, Plan, write
from nightsafe.cli.data_directory.workshop import Workshop, new_path
from nightsafe.cli.keys.drafts import sweep
from nightsafe.sealing import files


def left(where: Path, command: str = "restore") -> Path:
    """A folder with a private ring that a killed command has left."""
    workshop = Workshop.begin(new_path(where), command)
    (workshop.path / "delivery").mkdir()
    (workshop.path / "delivery" / "private-ring.json").touch()
    workshop.release()
    return workshop.path


@pytest.mark.parametrize("served", [False, True])
def test_a_folder_is_named_and_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str], *, served: bool) -> None:
    """In a data directory, served or not, beside it, or where a link in it leads; a private ring in it is told."""
    data, elsewhere = tmp_path / "safe", tmp_path / "elsewhere"
    data.mkdir()
    elsewhere.mkdir()
    folders = [left(data), left(tmp_path, "init"), left(elsewhere, "backup")]
    (data / folders[2].name).symlink_to(folders[2])

    with shared(data) if served else nullcontext(), used(data):
        assert [] == list(data.iterdir()) + list(elsewhere.iterdir())

    told = capsys.readouterr().err
    for folder, command in zip(folders, ("restore", "init", "backup"), strict=True):
        assert f"removed {folder}, which an interrupted `nightsafe {command}` left behind" in told
    assert 3 == told.count("; it contained a private ring")
    assert {data, elsewhere} == set(tmp_path.iterdir())


def test_what_is_in_use_or_is_not_theirs_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder of a command at work, one of the same kind of name without a plan, and another user's."""
    data = tmp_path / "safe"
    data.mkdir()
    working = Workshop.begin(new_path(tmp_path), "restore")
    own = tmp_path / f"{PREFIX}own"
    (own / "delivery").mkdir(parents=True)

    with used(data):
        assert {data, working.path, own} == set(tmp_path.iterdir())
    assert "" == capsys.readouterr().err
    working.remove()
    assert {data, own} == set(tmp_path.iterdir())


def test_a_folder_of_another_user_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In what is another's, names may change while they are looked at."""
    data = tmp_path / "safe"
    data.mkdir()
    folder = left(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)

    with used(data):
        assert folder.exists()


def test_a_plan_that_leads_elsewhere_is_none(tmp_path: Path) -> None:
    """Names in it are names, and no paths."""
    data = tmp_path / "safe"
    data.mkdir()
    (tmp_path / "kept").mkdir()
    write(data, Plan(command="restore", folder="../kept", aside="../gone"))

    with used(data):
        assert (tmp_path / "kept").exists()
        assert (data / NAME).exists()


def test_a_file_that_cannot_be_removed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command goes on with what it is for."""
    data = tmp_path / "safe"
    data.mkdir()
    folder = left(tmp_path)

    def fail(path: Path) -> None:
        """In place of what removes a file."""
        raise PermissionError(1, "Operation not permitted", str(path))

    monkeypatch.setattr("nightsafe.cli.data_directory.workshop.demolish", fail)
    with used(data):
        assert f"{folder} cannot be removed: Operation not permitted" in capsys.readouterr().err


def test_half_written_key_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are removed, unless somebody writes them at this moment; what is named otherwise stays."""
    (tmp_path / "delivery").mkdir()
    dead = tmp_path / "delivery" / ".private-ring.json.0123456789abcdef"
    token = tmp_path / ".token.0123456789abcdef"
    other = tmp_path / "delivery" / ".delivery-marks.json.0123456789abcdef"
    for path in (dead, token, other):
        path.touch()
    written = tmp_path / "delivery" / ".private-ring.json.1111111111111111"

    with files._drafted(written, b"a ring", 0o600):
        sweep(tmp_path)
        assert {written, other} == set((tmp_path / "delivery").iterdir())

    assert not token.exists()
    told = capsys.readouterr().err
    assert f"removed {dead}, which an interrupted command left behind" in told
    assert f"removed {token}, which an interrupted command left behind" in told
