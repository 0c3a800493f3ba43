"""Commands on a data directory that are killed at each of their steps: run again they finish, and nothing is lost."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner, Result
from tests.faults.steps import Killed, Steps
from tests.server import Safe, make_safe

from nightsafe.cli.data_directory import placing
from nightsafe.cli.data_directory.exchange import CannotExchangeError
from nightsafe.cli.data_directory.recovery import used
from nightsafe.cli.data_directory.unfinished import PREFIX
from nightsafe.cli.main import cli
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.rings.public_ring import PublicRing

_MOST_STEPS: Final = 200


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    """The steps of every command of a test."""
    return Steps(monkeypatch)


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Safe:
    """A safe that is copied for each kill."""
    return make_safe(tmp_path_factory.mktemp("origin"))


@pytest.fixture(scope="module")
def archive(origin: Safe) -> Path:
    """A backup of it."""
    path = origin.path.parent / "backup.tar"
    assert 0 == nightsafe("backup", path, "--data", origin.path).exit_code
    return path


def nightsafe(*arguments: object) -> Result:
    """A command in this process."""
    return CliRunner().invoke(cli, [str(one) for one in arguments], catch_exceptions=False)


def killed_at_each_step(steps: Steps, folder: Path, lay: Callable[[Path], None], *command: object) -> Iterator[Path]:
    """The folder of a command that was killed at each of its steps in turn.

    Args:
        steps: where it is killed.
        folder: holds a folder of its own for each.
        lay: makes what the command finds there.
        command: is run in that folder.
    """
    for number in range(_MOST_STEPS):
        place = folder / str(number)
        place.mkdir()
        lay(place)
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
    raise AssertionError("it has no end")


def left_behind(place: Path) -> list[str]:
    """What interrupted commands have left anywhere in a folder."""
    names = [one.name for one in place.rglob("*")]
    return [one for one in names if one.startswith((PREFIX, ".private-ring", ".unfinished", "unfinished"))]


def must(done: Result, code: int = 0) -> Result:
    """A command that must end so."""
    assert code == done.exit_code, done.output
    return done


@pytest.mark.parametrize("empty", [False, True])
def test_init(steps: Steps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, empty: bool) -> None:
    """It makes the safe when it is run again, and no second private ring lies about."""
    monkeypatch.chdir(tmp_path)

    def lay(place: Path) -> None:
        """Nothing, or an empty directory as a volume is."""
        if empty:
            (place / "safe").mkdir()

    for place in killed_at_each_step(steps, tmp_path, lay, "init", "--data", "safe"):
        done = CliRunner().invoke(cli, ["init", "--data", "safe"])
        assert 0 == done.exit_code or "already exists" in str(done.exception)  # only an empty folder was left of it
        with used(Path("safe")):
            assert Path("safe/nightsafe.db").is_file()
        assert [] == left_behind(place)
        assert ["safe"] == [one.name for one in place.iterdir()]
        assert 1 == len(list(place.rglob("private-ring.json")))


def cannot(_: Path, __: Path) -> None:
    """In place of an exchange, where the file system has none."""
    raise CannotExchangeError


@pytest.mark.parametrize("way", ["exchange", "parts", "fresh", "empty"])
def test_restore(  # noqa: PLR0913, PLR0917 - fixtures
    steps: Steps, origin: Safe, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """There is always a safe at its place, the old one or the new; at the end both are there, each once."""
    monkeypatch.chdir(tmp_path)
    taken = way in {"exchange", "parts"}
    if way == "parts":
        monkeypatch.setattr(placing, "exchange", cannot)

    def lay(place: Path) -> None:
        """The safe that is put aside, or what is there in its place."""
        if taken:
            shutil.copytree(origin.path, place / "safe")
            (place / "safe" / "mark").touch()
        elif way == "empty":
            (place / "safe").mkdir()

    command = ("restore", archive, "--data", "safe", "--force")
    for place in killed_at_each_step(steps, tmp_path, lay, *command):
        with used(Path("safe")):  # as every command does
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
        rings = {one.read_bytes() for one in place.rglob("private-ring.json")}
        assert rings == ({origin.private_ring.read_bytes()} if taken else set())
        assert not taken or (place / "safe/delivery/private-ring.json").is_file()


@pytest.mark.parametrize("options", [(), ("--with-private-ring",)])
def test_backup(
    steps: Steps, origin: Safe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    """What it worked in is removed by the next command on the safe, wherever it was; the file there is whole."""
    monkeypatch.chdir(tmp_path)

    def lay(place: Path) -> None:
        """A safe, and another place for the backup."""
        shutil.copytree(origin.path, place / "safe")
        (place / "elsewhere").mkdir()
        (place / "elsewhere" / "backup.tar").write_text("the one before")

    command = ("backup", "elsewhere/backup.tar", "--force", "--data", "safe", *options)
    for place in killed_at_each_step(steps, tmp_path, lay, *command):
        with used(Path("safe")):
            assert [] == left_behind(place)
        content = (place / "elsewhere" / "backup.tar").read_bytes()
        assert content == b"the one before" or content.startswith(b"manifest.json")
        must(nightsafe(*command))
        assert ["elsewhere", "safe"] == sorted(one.name for one in place.iterdir())
        assert ["backup.tar"] == [one.name for one in (place / "elsewhere").iterdir()]


def rings_of(data: Path) -> tuple[PrivateRing, PublicRing]:
    """The two rings of a data directory, which go together."""
    private = PrivateRing.load(data / "delivery" / "private-ring.json")
    public = PublicRing.load(data / "keys" / "public-ring.json")
    private.check_covers(public)
    return private, public


@pytest.mark.parametrize("name", ["rotate", "install", "retire", "remove"])
def test_keys(steps: Steps, origin: Safe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Run again it is finished; what can be sealed opens at every moment, and no ring lies about half written."""
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

    def lay(place: Path) -> None:
        """The safe as it is before the command."""
        shutil.copytree(before, place / "safe")

    command = ("keys", name, *rest, "--data", "safe")
    for place in killed_at_each_step(steps, tmp_path, lay, *command):
        rings_of(place / "safe")
        done = must(nightsafe(*command))
        assert [] == left_behind(place)
        private, public = rings_of(place / "safe")
        assert expected <= len(private.keys) == len(public.keys) <= expected + (name == "rotate")
        assert name != "remove" or private.get(old) is None
        assert [key.state for key in private.keys] == [key.state for key in public.keys], done.output
