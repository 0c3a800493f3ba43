"""Puts a new safe in its place, so that an interruption at any moment loses nothing.

A safe is made in a folder beside its place. The folder then gets the safe's name by a rename or, if there is an old
safe, by an atomic exchange. If neither is possible (a volume is mounted there, the directory above belongs to another
user, the file system has no exchange), the safe is made in a folder inside its place, and its parts are moved as its
plan says. The caller holds the exclusive lock of the data directory.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from nightsafe.cli.data_directory import creation_plan
from nightsafe.cli.data_directory.creation_plan import NAME, PREFIX, CreationPlan
from nightsafe.cli.data_directory.directory_swap import swap_directories
from nightsafe.cli.data_directory.recovery import (
    BEFORE,
    carry_out_moves,
    conclude_swap,
    finish_interrupted,
    unused_path,
)
from nightsafe.cli.data_directory.working_folders import WorkingFolder, new_path
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.files import sync

_DATABASES: Final = frozenset({"nightsafe.db", "store-url"})
_LOST_FOUND: Final = "lost+found"


class NewSafe:
    """An unfinished safe, created by `new_safe`.

    Args:
        data: absolute path of its place.
        path: the folder that it is made in.
        plan: the folder's plan.
    """

    def __init__(self, data: Path, path: Path, plan: CreationPlan) -> None:
        self.path: Final = path
        self._data = data
        self._plan = plan

    def put_in_place(self) -> Path | None:
        """Put the safe in its place. Return the new path of the old safe, or None.

        Raises:
            CannotSwapError: if it was made beside an old safe and they cannot be exchanged; nothing has changed.
            OSError: if the file system fails.
        """
        sync_tree(self.path)
        if self.path.parent == self._data:
            return self._move_parts()
        if self._plan.aside:
            swap_directories(self.path, self._data)
        else:
            self.path.rename(self._data)
        sync(self._data.parent)
        return conclude_swap(self._data, self._plan)

    def _move_parts(self) -> Path | None:
        """Write the plan of moves, then carry it out. The old database moves first and the new one last."""
        new = sorted((part.name for part in self.path.iterdir() if part.name != NAME), key=_is_database)
        old = [part.name for part in safe_parts(self._data)] if self._plan.aside else []
        _refuse_volumes(self._data, old)
        old.sort(key=_is_database, reverse=True)
        aside = unused_path(self._data / self._plan.aside).name if self._plan.aside else ""
        self._plan = msgspec.structs.replace(self._plan, moving=True, aside=aside, old=tuple(old), new=tuple(new))
        creation_plan.write(self.path, self._plan)
        return carry_out_moves(self.path, self._data, self._plan)


@contextmanager
def new_safe(data: Path, command: str, *, inside: bool, aside: str = "") -> Iterator[NewSafe]:
    """Create a folder for a new safe. At the end of the block the safe is in its place, or the folder is removed.

    Args:
        data: absolute path of the safe's place.
        command: name of the command that creates the safe.
        inside: whether to create the folder inside the place, which then exists.
        aside: new name of the old safe; "" if there is no old safe.
    """
    parent = data if inside else data.parent
    make_folders(parent)
    working_folder = WorkingFolder.create(new_path(parent), command, aside)
    try:
        yield NewSafe(data, working_folder.path, working_folder.plan)
    finally:
        working_folder.unlock()
        finish_interrupted(data, lambda _: None)


def safe_parts(data: Path) -> list[Path]:
    """Return the entries of a data directory, without those that an empty one may have too.

    Raises:
        OSError: if it cannot be read.
    """
    entries = data.iterdir() if data.is_dir() else ()
    return [entry for entry in entries if entry.name != _LOST_FOUND and not entry.name.startswith((PREFIX, BEFORE))]


def must_be_inside(data: Path) -> bool:
    """Return whether a directory cannot be replaced: it is a mount point, or we may not write to its parent."""
    return data.is_dir() and (data.is_mount() or not os.access(data.parent, os.W_OK | os.X_OK))


def _refuse_volumes(data: Path, names: list[str]) -> None:
    """Refuse to move a mount point.

    Raises:
        NightsafeError: INVALID, if one of the parts is a mount point.
    """
    for name in names:
        if (data / name).is_mount():
            raise NightsafeError(
                Code.INVALID,
                f"{data / name} is a mounted volume and cannot be renamed; name another directory with --data",
            )


def _is_database(name: str) -> bool:
    """Return whether an entry is the database or its address, which makes a directory a safe."""
    return name in _DATABASES


def sync_tree(top: Path) -> None:
    """Make a directory and everything in it durable, innermost first."""
    for folder, _, names in os.walk(top, topdown=False):
        for name in names:
            sync(Path(folder, name))
        sync(Path(folder))


def make_folders(path: Path) -> None:
    """Create a directory and its missing parents, durably."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        sync(folder.parent)
