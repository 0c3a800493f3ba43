"""Whether a directory is a place for a safe: one that nobody else may fill, or exchange for another."""

import os
import stat
from pathlib import Path
from typing import Final

from nightsafe.errors import Code, NightsafeError
from nightsafe.user_folder import trouble_with_folders

_WRITTEN_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


def refuse_unsafe(data: Path) -> None:
    """Refuse a directory that is another user's, that others may write, or that lies where others may exchange it.

    One that is not there is judged by those above it.

    Raises:
        NightsafeError: INVALID, with the place, what is wrong with it, and what to do.
    """
    place = Path(os.path.realpath(data))
    if data.is_symlink():
        _refuse_owner(data, data.lstat())
    if place.is_dir():
        found = place.stat()
        _refuse_owner(data, found)
        if found.st_mode & _WRITTEN_BY_OTHERS:
            mode = f"{stat.S_IMODE(found.st_mode):04o}"
            raise _problem(data, f"has mode {mode}, so others may write to it; run: chmod 700 {data}")
    refuse_exchangeable(place)


def refuse_exchangeable(place: Path) -> None:
    """Refuse a path below a directory whose owner, or anybody else, may put something else in its place.

    Raises:
        NightsafeError: INVALID.
    """
    above = next(one for one in place.absolute().parents if one.exists())
    wrong = trouble_with_folders(above / place.name)
    if wrong is not None:
        raise _problem(place, f"could be exchanged: {wrong}, or choose another place")


def _refuse_owner(path: Path, found: os.stat_result) -> None:
    """Refuse what is neither this process's user's nor root's."""
    if found.st_uid not in {os.geteuid(), 0}:
        way_out = f"run this as that user, or first: chown {os.geteuid()} {path}"
        raise _problem(path, f"belongs to user {found.st_uid}, and must be yours or root's; {way_out}")


def _problem(path: Path, what: str) -> NightsafeError:
    """The refusal of one directory."""
    return NightsafeError(Code.INVALID, f"{path} {what}")
