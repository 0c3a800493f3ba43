"""Putting a new safe in its place, so that nothing is lost at whatever moment this is interrupted.

A safe is made in a folder beside its place, which then gets the name: by a rename, or where a safe is put aside by an
exchange in one step. Where that cannot be (a volume that is mounted there, a directory above that is not ours, a file
system without exchange) it is made in a folder in the place itself, and its parts are moved as its plan says.
Whoever calls these holds the data directory alone.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from nightsafe.cli.data_directory import unfinished
from nightsafe.cli.data_directory.exchange import exchange
from nightsafe.cli.data_directory.recovery import BEFORE, carry_out, conclude, finish, free
from nightsafe.cli.data_directory.unfinished import NAME, PREFIX, Plan
from nightsafe.cli.data_directory.workshop import Workshop, new_path
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.files import sync

_DATABASE: Final = "nightsafe.db"
_OF_A_VOLUME: Final = "lost+found"


class NewSafe:
    """A safe that is being made. Made by `new_safe`.

    Args:
        data: its place, an absolute path.
        path: the folder that it is made in.
        written: the folder's plan.
    """

    def __init__(self, data: Path, path: Path, written: Plan) -> None:
        self.path: Final = path
        self._data = data
        self._plan = written

    def settle(self) -> Path | None:
        """Put it in its place; gives where that is now which was there.

        Raises:
            CannotExchangeError: when it was made beside a safe that it cannot be exchanged with; nothing has changed.
            OSError: when the file system fails.
        """
        sync_tree(self.path)
        if self.path.parent == self._data:
            return self._move_parts()
        if self._plan.aside:
            exchange(self.path, self._data)
        else:
            self.path.rename(self._data)
        sync(self._data.parent)
        return conclude(self._data, self._plan)

    def _move_parts(self) -> Path | None:
        """Write down what goes where, and then do it. The database goes aside first, and comes last."""
        new = sorted((one.name for one in self.path.iterdir() if one.name != NAME), key=_is_database)
        old = [one.name for one in parts_of(self._data)] if self._plan.aside else []
        _refuse_volumes(self._data, old)
        old.sort(key=_is_database, reverse=True)
        aside = free(self._data / self._plan.aside).name if self._plan.aside else ""
        self._plan = msgspec.structs.replace(self._plan, moving=True, aside=aside, old=tuple(old), new=tuple(new))
        unfinished.write(self.path, self._plan)
        return carry_out(self.path, self._data, self._plan)


@contextmanager
def new_safe(data: Path, command: str, *, inside: bool, aside: str = "") -> Iterator[NewSafe]:
    """A folder for a safe that is to be in the place `data`; at the end it is there, or nothing is left of it.

    Args:
        data: an absolute path.
        command: which command makes it.
        inside: whether it is made in its place, which is there then.
        aside: the name that what is there gets; "" where nothing is.
    """
    where = data if inside else data.parent
    make_folders(where)
    workshop = Workshop.begin(new_path(where), command, aside)
    try:
        yield NewSafe(data, workshop.path, workshop.plan)
    finally:
        workshop.release()
        finish(data, lambda _: None)


def parts_of(data: Path) -> list[Path]:
    """What is in a data directory, but for what may be in an empty one too.

    Raises:
        OSError: when it cannot be read.
    """
    entries = data.iterdir() if data.is_dir() else ()
    return [one for one in entries if one.name != _OF_A_VOLUME and not one.name.startswith((PREFIX, BEFORE))]


def must_be_inside(data: Path) -> bool:
    """Whether a directory can only be filled, not replaced: it is a volume, or what is above it is not ours."""
    return data.is_dir() and (data.is_mount() or not os.access(data.parent, os.W_OK | os.X_OK))


def _refuse_volumes(data: Path, names: list[str]) -> None:
    """Refuse to move what cannot be moved.

    Raises:
        NightsafeError: INVALID, when one of the parts is a volume of its own.
    """
    for name in names:
        if (data / name).is_mount():
            raise NightsafeError(
                Code.INVALID, f"{data / name} is a volume of its own and cannot be put aside; name another --data"
            )


def _is_database(name: str) -> bool:
    """Whether it is what makes a directory a safe."""
    return name == _DATABASE


def sync_tree(top: Path) -> None:
    """Make a directory durable with all that is in it, the inner ones first."""
    for folder, _, names in os.walk(top, topdown=False):
        for name in names:
            sync(Path(folder, name))
        sync(Path(folder))


def make_folders(path: Path) -> None:
    """Make a directory and those above it that are not there, durably."""
    missing = [one for one in (path, *path.parents) if not one.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for one in missing:
        sync(one.parent)
