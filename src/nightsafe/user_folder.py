"""The user's own configuration directory, and whether a file in it is nobody else's."""

import os
import stat
from pathlib import Path


def user_folder() -> Path | None:
    """`nightsafe` in `XDG_CONFIG_HOME` or `~/.config`; None where the user has no home."""
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    try:
        found = Path(base).expanduser() / "nightsafe"
    except RuntimeError:
        return None
    return found if found.is_absolute() else None


def trouble_with(path: Path, descriptor: int) -> str | None:
    """Why others may have written a file that is open; None when nobody else can have.

    It is judged as sshd judges its files: the file and each directory above it belong to this process's user or to
    root, and nobody else may write to them. A group of one's own is nobody else, for systems make one for each user.
    Of root's `/tmp`, or one's own, only what one owns can be moved.

    Args:
        path: where it is; the directories are those that it leads to.
        descriptor: the open file.

    Raises:
        OSError: when a directory cannot be looked at.
    """
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        return f"{path} is not a regular file"
    return _owned_by_another(path, status) or _written_by_others(path, status) or trouble_with_folders(path)


def trouble_with_folders(path: Path) -> str | None:
    """Why others could put another file in the place of one; None when nobody else can.

    Raises:
        OSError: when a directory cannot be looked at.
    """
    real = Path(os.path.realpath(path))
    for folder in {*path.absolute().parents, *real.parents}:
        status = folder.stat()
        wrong = _owned_by_another(folder, status)
        if wrong is None and not status.st_mode & stat.S_ISVTX:
            wrong = _written_by_others(folder, status)
        if wrong is not None:
            return wrong
    return None


def _owned_by_another(path: Path, status: os.stat_result) -> str | None:
    """Why another user has a file or directory, who may do with it, and with what is in it, whatever its mode is."""
    if status.st_uid not in {os.geteuid(), 0}:
        return f"{path} belongs to user {status.st_uid}, not to you"
    return None


def _written_by_others(path: Path, status: os.stat_result) -> str | None:
    """Why others may write one file or directory."""
    by_group = status.st_mode & stat.S_IWGRP and status.st_gid not in {os.getegid(), 0}
    if by_group or status.st_mode & stat.S_IWOTH:
        return f"others may write to {path}; run: chmod go-w {path}"
    return None
