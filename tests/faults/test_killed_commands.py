"""Commands on a data directory, killed at each of their steps: run again they finish, and nothing is lost."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner, Result
from tests.faults.steps import Killed, Steps
from tests.server import Safe, make_safe

from nightsafe.cli.data_directory import placement
from nightsafe.cli.data_directory.creation_plan import PREFIX
from nightsafe.cli.data_directory.directory_swap import CannotSwapError
from nightsafe.cli.data_directory.recovery import recover_and_share
from nightsafe.cli.main import cli
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.rings.public_ring import PublicRing

_MOST_STEPS: Final = 200


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    """Return the steps of every command in a test."""
    return Steps(monkeypatch)


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Safe:
    """Return a safe that is copied for each kill."""
    return make_safe(tmp_path_factory.mktemp("origin"))


@pytest.fixture(scope="module")
def archive(origin: Safe) -> Path:
    """Return a backup of `origin`."""
    path = origin.path.parent / "backup.tar"
    assert 0 == nightsafe("backup", path, "--data", origin.path).exit_code
    return path


def nightsafe(*arguments: object) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)


def killed_at_each_step(
    steps: Steps, folder: Path, prepare: Callable[[Path], None], *command: object
) -> Iterator[Path]:
    """Kill a command at each of its steps in turn; yield its folder after each kill.

    Args:
        steps: the steps at which the command is killed.
        folder: gets a folder for each kill.
        prepare: creates what the command finds in its folder.
        command: the command, which runs in its folder.
    """
    for number in range(_MOST_STEPS):
        place = folder / str(number)
        place.mkdir()
        prepare(place)
        os.chdir(place)
        steps.arm(number)
        try:
            nightsafe(*command)
        except Killed:
            pass
        else:
            assert not steps.struck
            assert number > 0
            return
        finally:
            steps.heal()
        yield place
    raise AssertionError(f"the command takes more than {_MOST_STEPS} steps")


def left_behind(place: Path) -> list[str]:
    """Return the names of the files that interrupted commands have left in a folder."""
    names = [path.name for path in place.rglob("*")]
    return [name for name in names if name.startswith((PREFIX, ".private-ring", ".unfinished", "unfinished"))]


def must(done: Result, code: int = 0) -> Result:
    """Check the exit code of a command; return its result."""
    assert code == done.exit_code, done.output
    return done


@pytest.mark.parametrize("empty", [False, True])
def test_init_killed_at_any_step_can_be_run_again(
    steps: Steps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, empty: bool
) -> None:
    """The command creates the safe when it is run again, without a second private ring."""
    monkeypatch.chdir(tmp_path)

    def prepare(place: Path) -> None:
        """Create nothing, or an empty directory like a mounted volume."""
        if empty:
            (place / "safe").mkdir()

    for place in killed_at_each_step(steps, tmp_path, prepare, "init", "--data", "safe"):
        done = CliRunner().invoke(cli, ["init", "--data", "safe"])
        assert 0 == done.exit_code or "already exists" in str(done.exception)  # only an empty folder was left of it
        with recover_and_share(Path("safe")):
            assert Path("safe/nightsafe.db").is_file()
        assert [] == left_behind(place)
        assert ["safe"] == [path.name for path in place.iterdir()]
        assert 1 == len(list(place.rglob("private-ring.json")))


def no_exchange(_: Path, __: Path) -> None:
    """Refuse an exchange, like a file system that cannot do it."""
    raise CannotSwapError


@pytest.mark.parametrize("way", ["exchange", "parts", "fresh", "empty"])
def test_restore_killed_at_any_step_keeps_a_safe(  # noqa: PLR0913, PLR0917 - fixtures
    steps: Steps, origin: Safe, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """A safe, the old or the new one, is always in its place; in the end both exist, each once."""
    monkeypatch.chdir(tmp_path)
    taken = way in {"exchange", "parts"}
    if way == "parts":
        monkeypatch.setattr(placement, "swap_directories", no_exchange)

    def prepare(place: Path) -> None:
        """Create the safe that is put aside, or what stands in its place."""
        if taken:
            shutil.copytree(origin.path, place / "safe")
            (place / "safe" / "mark").touch()
        elif way == "empty":
            (place / "safe").mkdir()

    command = ("restore", archive, "--data", "safe", "--force")
    for place in killed_at_each_step(steps, tmp_path, prepare, *command):
        with recover_and_share(Path("safe")):  # as every command does
            there = Path("safe/nightsafe.db").is_file()
            assert there or not taken
            assert not there or Path("safe/keys/public-ring.json").is_file()
        assert [] == left_behind(place)
        must(nightsafe(*command))
        assert [] == left_behind(place)
        marks = list(place.rglob("mark"))
        assert taken == len(marks)
        assert all(mark.with_name("nightsafe.db").is_file() for mark in marks)
        assert not any(mark.parent == place / "safe" for mark in marks)
        rings = {path.read_bytes() for path in place.rglob("private-ring.json")}
        assert rings == ({origin.private_ring.read_bytes()} if taken else set())
        assert not taken or (place / "safe/delivery/private-ring.json").is_file()


@pytest.mark.parametrize("options", [(), ("--with-private-ring",)])
def test_backup_killed_at_any_step_leaves_nothing(
    steps: Steps, origin: Safe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    """The next command on the safe removes temporary files in every place; the backup file is always whole."""
    monkeypatch.chdir(tmp_path)

    def prepare(place: Path) -> None:
        """Create a safe, and a folder with an older backup."""
        shutil.copytree(origin.path, place / "safe")
        (place / "elsewhere").mkdir()
        (place / "elsewhere" / "backup.tar").write_text("the one before")

    command = ("backup", "elsewhere/backup.tar", "--force", "--data", "safe", *options)
    for place in killed_at_each_step(steps, tmp_path, prepare, *command):
        with recover_and_share(Path("safe")):
            assert [] == left_behind(place)
        content = (place / "elsewhere" / "backup.tar").read_bytes()
        assert content == b"the one before" or content.startswith(b"manifest.json")
        must(nightsafe(*command))
        assert ["elsewhere", "safe"] == sorted(path.name for path in place.iterdir())
        assert ["backup.tar"] == [path.name for path in (place / "elsewhere").iterdir()]


def rings_of(data: Path) -> tuple[PrivateRing, PublicRing]:
    """Return the two rings of a data directory, which must match."""
    private = PrivateRing.load(data / "delivery" / "private-ring.json")
    public = PublicRing.load(data / "keys" / "public-ring.json")
    private.check_covers(public)
    return private, public


@pytest.mark.parametrize("name", ["rotate", "install", "retire", "remove"])
def test_key_commands_killed_at_any_step_can_be_run_again(
    steps: Steps, origin: Safe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Run again, the command finishes; values can be opened at every moment, and no half-written ring is left."""
    monkeypatch.chdir(tmp_path)
    before = tmp_path / "before"
    shutil.copytree(origin.path, before)
    old = PublicRing.load(before / "keys" / "public-ring.json").primary.id
    if name != "rotate":
        shutil.copy(before / "keys" / "public-ring.json", tmp_path / "older.json")
        must(nightsafe("keys", "rotate", "--data", before))
    if name == "install":
        shutil.copy(before / "keys" / "public-ring.json", tmp_path / "handed.json")
        shutil.copy(tmp_path / "older.json", before / "keys" / "public-ring.json")
    if name == "remove":
        must(nightsafe("keys", "retire", old, "--data", before))
    rest = {"rotate": (), "install": (tmp_path / "handed.json",), "remove": (old, "--yes")}.get(name, (old,))
    expected = {"rotate": 2, "install": 2, "retire": 2, "remove": 1}[name]

    def prepare(place: Path) -> None:
        """Create the safe as it is before the command."""
        shutil.copytree(before, place / "safe")

    command = ("keys", name, *rest, "--data", "safe")
    for place in killed_at_each_step(steps, tmp_path, prepare, *command):
        rings_of(place / "safe")
        done = must(nightsafe(*command))
        assert [] == left_behind(place)
        private, public = rings_of(place / "safe")
        assert expected <= len(private.keys) == len(public.keys) <= expected + (name == "rotate")
        assert name != "remove" or private.get(old) is None
        assert [key.state for key in private.keys] == [key.state for key in public.keys], done.output
