"""Dealing with what an interrupted command has left, before anything else is done with a data directory.

| what is there | what becomes of it |
| --- | --- |
| a folder with a plan that says nothing of moving, beside the data directory or in it | it is removed |
| the same, while its parts are being moved | they are moved on; those of `init` back |
| a plan in the data directory itself | what was there goes aside, and the plan away |
| the same of `init` | the safe is removed, for `init` is to be run again |
| a key file that was not written to its end | it is removed |
"""

import errno
import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from nightsafe.cli.data_directory import unfinished
from nightsafe.cli.data_directory.lock import alone, release, shared, take
from nightsafe.cli.data_directory.unfinished import NAME, Plan
from nightsafe.cli.data_directory.workshop import clear, demolish, left_in
from nightsafe.cli.keys import drafts
from nightsafe.cli.terminal.output import tell
from nightsafe.sealing.files import sync

Tell = Callable[[str], None]
BEFORE: Final = "before-"
"""What the names begin with under which parts are put aside in the data directory itself."""

_INIT: Final = "init"


@contextmanager
def used(data: Path) -> Iterator[None]:
    """Use a data directory beside others, once what an interrupted command has left is dealt with.

    Raises:
        NightsafeError: as `directory_lock.shared`.
    """
    place = real(data)
    if traces(place):
        _deal_with_traces(place)
    with shared(data):
        drafts.sweep(place)
        yield


@contextmanager
def owned(data: Path) -> Iterator[Path]:
    """Be the only one to use a data directory, once what was interrupted is dealt with; gives its real path.

    Raises:
        NightsafeError: as `directory_lock.alone`.
    """
    place = real(data)
    with alone(data):
        finish(place)
        yield place


def safes_of(*files: Path | None) -> set[Path]:
    """The data directories that files are in, as what delivers uses them."""
    folders = {folder for file in files if file is not None for folder in real(file).parents[:2]}
    return {folder for folder in folders if os.path.isfile(folder / "nightsafe.db")}  # noqa: PTH113 - it never fails


def real(data: Path) -> Path:
    """Where something is, whatever links lead there."""
    return Path(os.path.realpath(data))


def traces(data: Path) -> list[Path]:
    """What commands at work, or interrupted ones, have in a data directory and beside it."""
    there = [data / NAME] if (data / NAME).is_file() else []
    return [*there, *left_in(data), *left_in(data.parent)]


def finish(data: Path, told: Tell = tell) -> None:
    """Conclude or remove what interrupted commands have left, in a data directory and beside it; told in a line each.

    Whoever calls it holds the directory alone.
    """
    found = unfinished.read(data)
    if found is not None:
        _finish_placed(data, found, told)
    for left in left_in(data):
        _finish_inside(data, left, told)
    for left in left_in(data.parent):
        clear(left, told)


def conclude(data: Path, written: Plan) -> Path | None:
    """Give what was exchanged for a new safe its name, and be done; gives where it is."""
    old, aside = data.parent / written.folder, None
    if written.aside and os.path.lexists(old):
        aside = free(data.parent / written.aside)
        old.rename(aside)
        sync(data.parent)
    unfinished.drop(data)
    return aside


def carry_out(folder: Path, data: Path, written: Plan) -> Path | None:
    """Move parts as a plan says, those that are still to be moved; gives where what was there is."""
    aside = data / written.aside if written.aside else None
    if aside is not None:
        aside.mkdir(mode=0o700, exist_ok=True)
        _move(data, aside, [name for name in written.old if not os.path.lexists(aside / name)])
    _move(folder, data, written.new)
    data.chmod(0o700)
    demolish(folder)
    sync(data)
    return aside


def _deal_with_traces(data: Path) -> None:
    """Finish what was interrupted; beside others who use the directory there are only folders, which have locks."""
    lock = take(data, fcntl.LOCK_EX)
    if lock is None:
        for left in (*left_in(data), *left_in(data.parent)):
            clear(left, tell)
        return
    try:
        finish(data)
    finally:
        release(lock)


def _finish_placed(data: Path, found: Plan, told: Tell) -> None:
    """Deal with a safe that has its name, but whose command was interrupted."""
    if found.command == _INIT:
        back = data.parent / found.folder
        data.rename(back)
        sync(data.parent)
        demolish(back)
        told(f"{data} is removed: `nightsafe init` was interrupted. Run it again: what it has printed is void")
        return
    aside = conclude(data, found)
    told(_finished(data, found, aside))


def _finish_inside(data: Path, left: Path, told: Tell) -> None:
    """Deal with a folder in a data directory."""
    found = unfinished.read(left)
    if found is None or not found.moving:
        clear(left, told)
    elif found.command == _INIT:
        _move(data, left, [name for name in found.new if not os.path.lexists(left / name)])
        demolish(left)
        told(f"{data} is empty again: `nightsafe init` was interrupted. Run it again: what it has printed is void")
    else:
        told(_finished(data, found, carry_out(left, data, found)))


def _finished(data: Path, found: Plan, aside: Path | None) -> str:
    """What is said of a command that was carried on."""
    there = f"; what was there is in {aside}" if aside else ""
    return f"`nightsafe {found.command}` of {data}, which was interrupted, is finished{there}"


def _move(source: Path, target: Path, names: Iterable[str]) -> None:
    """Move what is still there to be moved, durably.

    Raises:
        FileExistsError: when something is in its place.
    """
    for name in names:
        if os.path.lexists(source / name):
            if os.path.lexists(target / name):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target / name))
            (source / name).rename(target / name)
    sync(target)
    sync(source)


def free(path: Path) -> Path:
    """A name that is not taken: this one, or this one with a number."""
    number, found = 1, path
    while os.path.lexists(found):
        found, number = path.with_name(f"{path.name}-{number}"), number + 1
    return found
