"""Recovers a data directory after an interrupted command. Every command does this before it uses the directory.

| left behind | recovery |
| --- | --- |
| a folder beside the data directory or in it, whose plan is not moving parts | remove the folder |
| such a folder, whose plan is moving parts | finish the moves; for `init`, undo them |
| a plan in the data directory itself | rename the old safe and remove the plan |
| a plan of `init` in the data directory | remove the safe, because `init` must be run again |
| an incomplete key file | remove the file |
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
"""The prefix of the names under which old parts are kept inside the data directory."""

_INIT: Final = "init"


@contextmanager
def used(data: Path) -> Iterator[None]:
    """Recover a data directory, then hold its shared lock.

    Raises:
        NightsafeError: as for `lock.shared`.
    """
    place = real(data)
    if traces(place):
        _deal_with_traces(place)
    with shared(data):
        drafts.sweep(place)
        yield


@contextmanager
def owned(data: Path) -> Iterator[Path]:
    """Hold the exclusive lock of a data directory and recover it. Give its real path.

    Raises:
        NightsafeError: as for `lock.alone`.
    """
    place = real(data)
    with alone(data):
        finish(place)
        yield place


def safes_of(*files: Path | None) -> set[Path]:
    """Return the data directories that contain these files of a delivery process."""
    folders = {folder for file in files if file is not None for folder in real(file).parents[:2]}
    return {folder for folder in folders if os.path.isfile(folder / "nightsafe.db")}  # noqa: PTH113 - it never raises


def real(data: Path) -> Path:
    """Return a path with all symbolic links resolved."""
    return Path(os.path.realpath(data))


def traces(data: Path) -> list[Path]:
    """Return the plans and folders of running and interrupted commands, in a data directory and beside it."""
    there = [data / NAME] if (data / NAME).is_file() else []
    return [*there, *left_in(data), *left_in(data.parent)]


def finish(data: Path, told: Tell = tell) -> None:
    """Finish or remove the work of interrupted commands, in a data directory and beside it. Print a line for each.

    The caller holds the exclusive lock of the directory.
    """
    found = unfinished.read(data)
    if found is not None:
        _finish_placed(data, found, told)
    for left in left_in(data):
        _finish_inside(data, left, told)
    for left in left_in(data.parent):
        clear(left, told)


def conclude(data: Path, written: Plan) -> Path | None:
    """Rename the old safe after an exchange, and remove the plan. Return the old safe's path, or None."""
    old, aside = data.parent / written.folder, None
    if written.aside and os.path.lexists(old):
        aside = free(data.parent / written.aside)
        old.rename(aside)
        sync(data.parent)
    unfinished.drop(data)
    return aside


def carry_out(folder: Path, data: Path, written: Plan) -> Path | None:
    """Make the moves of a plan that are not done yet. Return the folder of the old parts, or None."""
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
    """Finish interrupted commands. If other processes use the directory, only folders are left, each with a lock."""
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
    """Recover a safe that is in its place although its command was interrupted."""
    if found.command == _INIT:
        back = data.parent / found.folder
        data.rename(back)
        sync(data.parent)
        demolish(back)
        told(f"removed {data}: `nightsafe init` was interrupted. Run it again: the credentials it printed are void")
        return
    aside = conclude(data, found)
    told(_finished(data, found, aside))


def _finish_inside(data: Path, left: Path, told: Tell) -> None:
    """Recover a folder in a data directory."""
    found = unfinished.read(left)
    if found is None or not found.moving:
        clear(left, told)
    elif found.command == _INIT:
        _move(data, left, [name for name in found.new if not os.path.lexists(left / name)])
        demolish(left)
        told(f"emptied {data}: `nightsafe init` was interrupted. Run it again: the credentials it printed are void")
    else:
        told(_finished(data, found, carry_out(left, data, found)))


def _finished(data: Path, found: Plan, aside: Path | None) -> str:
    """Return the message for a command that recovery finished."""
    there = f"; the previous safe is in {aside}" if aside else ""
    return f"finished an interrupted `nightsafe {found.command}` of {data}{there}"


def _move(source: Path, target: Path, names: Iterable[str]) -> None:
    """Move the entries that are still in the source, durably.

    Raises:
        FileExistsError: if the target has an entry of that name.
    """
    for name in names:
        if os.path.lexists(source / name):
            if os.path.lexists(target / name):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target / name))
            (source / name).rename(target / name)
    sync(target)
    sync(source)


def free(path: Path) -> Path:
    """Return a path that does not exist: this one, or this one with a number."""
    number, found = 1, path
    while os.path.lexists(found):
        found, number = path.with_name(f"{path.name}-{number}"), number + 1
    return found
