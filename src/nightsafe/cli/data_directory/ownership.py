"""Checks that no other user can write to a safe's directory or exchange it for another."""

import os
import stat
from pathlib import Path
from typing import Final

from nightsafe.errors import Code, NightsafeError
from nightsafe.user_folder import untrusted_folder_reason

_WRITTEN_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


def refuse_unsafe(data: Path) -> None:
    """Refuse a directory that belongs to another user, or that others can write to or exchange.

    For a directory that does not exist, only the directories above it count.

    Raises:
        NightsafeError: INVALID, with the path, the problem and the solution.
    """
    place = Path(os.path.realpath(data))
    if data.is_symlink():
        _refuse_owner(data, data.lstat())
    if place.is_dir():
        status = place.stat()
        _refuse_owner(data, status)
        if status.st_mode & _WRITTEN_BY_OTHERS:
            mode = f"{stat.S_IMODE(status.st_mode):04o}"
            raise _problem(data, f"has mode {mode}, so others may write to it; run: chmod 700 {data}")
    refuse_exchangeable(place)


def refuse_exchangeable(place: Path) -> None:
    """Refuse a path that another user could exchange, because of the rights of a directory above it.

    Raises:
        NightsafeError: INVALID.
    """
    above = next(folder for folder in place.absolute().parents if folder.exists())
    problem = untrusted_folder_reason(above / place.name)
    if problem is not None:
        raise _problem(place, f"could be exchanged: {problem}, or choose another place")


def _refuse_owner(path: Path, status: os.stat_result) -> None:
    """Refuse a path that belongs neither to this process's user nor to root."""
    if status.st_uid not in {os.geteuid(), 0}:
        advice = f"run this as that user, or first run: chown {os.geteuid()} {path}"
        raise _problem(path, f"belongs to user {status.st_uid}, but must belong to you or root; {advice}")


def _problem(path: Path, problem: str) -> NightsafeError:
    """Return the refusal of a directory."""
    return NightsafeError(Code.INVALID, f"{path} {problem}")
