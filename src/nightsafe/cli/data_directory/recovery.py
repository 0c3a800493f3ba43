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

from nightsafe.cli.data_directory import creation_plan
from nightsafe.cli.data_directory.creation_plan import NAME, CreationPlan
from nightsafe.cli.data_directory.lock import exclusive_lock, lock_directory, shared_lock, unlock
from nightsafe.cli.data_directory.working_folders import remove_folder, remove_leftover, working_folders
from nightsafe.cli.keys import drafts
from nightsafe.cli.terminal.output import notify
from nightsafe.sealing.files import sync

Report = Callable[[str], None]
BEFORE: Final = "before-"
"""The prefix of the names under which old parts are kept inside the data directory."""

_INIT: Final = "init"


@contextmanager
def recover_and_share(data: Path) -> Iterator[None]:
    """Recover a data directory, then hold its shared lock.

    Raises:
        NightsafeError: as for `lock.shared_lock`.
    """
    place = resolve_links(data)
    if unfinished_paths(place):
        _recover(place)
    with shared_lock(data):
        drafts.sweep(place)
        yield


@contextmanager
def recover_and_lock(data: Path) -> Iterator[Path]:
    """Hold the exclusive lock of a data directory and recover it. Give its real path.

    Raises:
        NightsafeError: as for `lock.exclusive_lock`.
    """
    place = resolve_links(data)
    with exclusive_lock(data):
        finish_interrupted(place)
        yield place


def safes_of(*files: Path | None) -> set[Path]:
    """Return the data directories that contain these files of a delivery process."""
    folders = {folder for file in files if file is not None for folder in resolve_links(file).parents[:2]}
    return {folder for folder in folders if any(map(os.path.isfile, (folder / "nightsafe.db", folder / "store-url")))}


def resolve_links(data: Path) -> Path:
    """Return a path with all symbolic links resolved."""
    return Path(os.path.realpath(data))


def unfinished_paths(data: Path) -> list[Path]:
    """Return the plans and folders of running and interrupted commands, in a data directory and beside it."""
    own_plan = [data / NAME] if (data / NAME).is_file() else []
    return [*own_plan, *working_folders(data), *working_folders(data.parent)]


def finish_interrupted(data: Path, report: Report = notify) -> None:
    """Finish or remove the work of interrupted commands, in a data directory and beside it. Print a line for each.

    The caller holds the exclusive lock of the directory.
    """
    plan = creation_plan.read(data)
    if plan is not None:
        _recover_placed(data, plan, report)
    for leftover in working_folders(data):
        _recover_inside(data, leftover, report)
    for leftover in working_folders(data.parent):
        remove_leftover(leftover, report)


def conclude_swap(data: Path, plan: CreationPlan) -> Path | None:
    """Rename the old safe after an exchange, and remove the plan. Return the old safe's path, or None."""
    old, aside = data.parent / plan.folder, None
    if plan.aside and os.path.lexists(old):
        aside = unused_path(data.parent / plan.aside)
        old.rename(aside)
        sync(data.parent)
    creation_plan.drop(data)
    return aside


def carry_out_moves(folder: Path, data: Path, plan: CreationPlan) -> Path | None:
    """Make the moves of a plan that are not done yet. Return the folder of the old parts, or None."""
    aside = data / plan.aside if plan.aside else None
    if aside is not None:
        aside.mkdir(mode=0o700, exist_ok=True)
        _move(data, aside, [name for name in plan.old if not os.path.lexists(aside / name)])
    _move(folder, data, plan.new)
    data.chmod(0o700)
    remove_folder(folder)
    sync(data)
    return aside


def _recover(data: Path) -> None:
    """Finish interrupted commands. If other processes use the directory, only folders are left, each with a lock."""
    lock = lock_directory(data, fcntl.LOCK_EX)
    if lock is None:
        for leftover in (*working_folders(data), *working_folders(data.parent)):
            remove_leftover(leftover, notify)
        return
    try:
        finish_interrupted(data)
    finally:
        unlock(lock)


def _recover_placed(data: Path, plan: CreationPlan, report: Report) -> None:
    """Recover a safe that is in its place although its command was interrupted."""
    if plan.command == _INIT:
        back = data.parent / plan.folder
        data.rename(back)
        sync(data.parent)
        remove_folder(back)
        report(f"removed {data}: `nightsafe init` was interrupted. Run it again: the credentials it printed are void")
        return
    aside = conclude_swap(data, plan)
    report(_finished_message(data, plan, aside))


def _recover_inside(data: Path, leftover: Path, report: Report) -> None:
    """Recover a folder in a data directory."""
    plan = creation_plan.read(leftover)
    if plan is None or not plan.moving:
        remove_leftover(leftover, report)
    elif plan.command == _INIT:
        _move(data, leftover, [name for name in plan.new if not os.path.lexists(leftover / name)])
        remove_folder(leftover)
        report(f"emptied {data}: `nightsafe init` was interrupted. Run it again: the credentials it printed are void")
    else:
        report(_finished_message(data, plan, carry_out_moves(leftover, data, plan)))


def _finished_message(data: Path, plan: CreationPlan, aside: Path | None) -> str:
    """Return the message for a command that recovery finished."""
    old_safe = f"; the previous safe is in {aside}" if aside else ""
    return f"finished an interrupted `nightsafe {plan.command}` of {data}{old_safe}"


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


def unused_path(path: Path) -> Path:
    """Return a path that does not exist: this one, or this one with a number."""
    number, candidate = 1, path
    while os.path.lexists(candidate):
        candidate, number = path.with_name(f"{path.name}-{number}"), number + 1
    return candidate
