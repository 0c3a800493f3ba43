"""The user's configuration directory, and the check that no other user can change a file."""

import os
import stat
from pathlib import Path


def user_folder() -> Path | None:
    """Return `nightsafe` in `XDG_CONFIG_HOME` or in `~/.config`; None if the user has no home directory."""
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    try:
        folder = Path(base).expanduser() / "nightsafe"
    except RuntimeError:
        return None
    return folder if folder.is_absolute() else None


def untrusted_file_reason(path: Path, descriptor: int) -> str | None:
    """Return why another user may have written an open file, or None if no other user can have written it.

    The rule is sshd's: the file and every directory above it must belong to this process's user or to root, and no
    other user may have write access. Write access for this process's own group is accepted, because many systems give
    each user a group. Write access for others is accepted on a directory with the sticky bit, such as `/tmp`: there
    only the owner of an entry can move it.

    Args:
        path: the file's path. The directories above it are checked both as written and with links resolved.
        descriptor: the open file.

    Raises:
        OSError: if a directory cannot be read.
    """
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        return f"{path} is not a regular file"
    return _owned_by_another(path, status) or _written_by_others(path, status) or untrusted_folder_reason(path)


def untrusted_folder_reason(path: Path) -> str | None:
    """Return why another user could replace a file, or None if no other user can.

    Raises:
        OSError: if a directory cannot be read.
    """
    real = Path(os.path.realpath(path))
    for folder in {*path.absolute().parents, *real.parents}:
        status = folder.stat()
        problem = _owned_by_another(folder, status)
        if problem is None and not status.st_mode & stat.S_ISVTX:
            problem = _written_by_others(folder, status)
        if problem is not None:
            return problem
    return None


def _owned_by_another(path: Path, status: os.stat_result) -> str | None:
    """Return why a file or directory is refused for its owner, or None.

    The owner of a file can always change its mode, and so its contents.
    """
    if status.st_uid not in {os.geteuid(), 0}:
        return f"{path} belongs to user {status.st_uid}, not to you"
    return None


def _written_by_others(path: Path, status: os.stat_result) -> str | None:
    """Return why a file or directory is refused for its mode, or None."""
    by_group = status.st_mode & stat.S_IWGRP and status.st_gid not in {os.getegid(), 0}
    if by_group or status.st_mode & stat.S_IWOTH:
        return f"others may write to {path}; run: chmod go-w {path}"
    return None
