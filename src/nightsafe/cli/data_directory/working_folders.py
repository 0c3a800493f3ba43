"""Working folders, in which a command builds something before it gets its name, and their removal.

A command keeps its folder locked while it runs. If a folder can be locked, its command was interrupted. The next
command then finishes the folder's plan or removes the folder, and prints a line.
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from nightsafe.cli.data_directory import creation_plan
from nightsafe.cli.data_directory.creation_plan import NAME, PREFIX, CreationPlan
from nightsafe.cli.data_directory.lock import NO_DIRECTORY, lock_directory, unlock
from nightsafe.cli.terminal.output import notify
from nightsafe.errors import Code, NightsafeError

_RING: Final = "private-ring.json"


def new_path(folder: Path) -> Path:
    """Return a path for a new working folder, with a random name."""
    return folder / f"{PREFIX}{secrets.token_hex(6)}"


class WorkingFolder:
    """A working folder of this process, of mode 0700. Use `create` to create one.

    Args:
        path: path of the folder.
        plan: its plan.
        lock: the descriptor that holds its lock.
    """

    def __init__(self, path: Path, plan: CreationPlan, lock: int) -> None:
        self.path: Final = path
        self.plan: Final = plan
        self._lock = lock

    @classmethod
    def create(cls, path: Path, command: str, aside: str = "") -> Self:
        """Create a folder at a `new_path`, with its plan.

        Raises:
            NightsafeError: UNAVAILABLE, if another process has locked it.
            OSError: if it cannot be created.
        """
        path.mkdir(mode=0o700)
        lock = lock_directory(path, fcntl.LOCK_EX)
        if lock is None or lock == NO_DIRECTORY:
            raise NightsafeError(
                Code.UNAVAILABLE, f"another process mistook {path} for a left-over folder; try again"
            )
        working_folder = cls(path, CreationPlan(command=command, folder=path.name, aside=aside), lock)
        try:
            creation_plan.write(path, working_folder.plan)
        except BaseException:
            working_folder.remove()
            raise
        return working_folder

    def remove(self) -> None:
        """Remove the folder with everything in it, and release its lock."""
        try:
            remove_folder(self.path)
        finally:
            self.unlock()

    def unlock(self) -> None:
        """Release the folder's lock, even if the folder was moved."""
        unlock(self._lock)
        self._lock = NO_DIRECTORY


def working_folders(folder: Path) -> Iterator[Path]:
    """Yield the working folders in a directory, and links to working folders: those in use and those left behind."""
    with suppress(OSError):
        yield from sorted(entry for entry in folder.iterdir() if entry.name.startswith(PREFIX))


def remove_leftover(leftover: Path, report: Callable[[str], None] = notify) -> None:
    """Remove a folder that an interrupted command left, and print a line. Leave a folder in use alone."""
    try:
        if leftover.is_symlink():
            _remove_leftover_link(leftover, report)
        elif leftover.lstat().st_uid == os.geteuid():  # in another user's folder, names may change during the removal
            _remove_leftover_folder(leftover, report)
    except FileNotFoundError:
        return  # another command was quicker
    except OSError as error:
        report(f"{leftover} cannot be removed: {error.strerror}; an interrupted command left it behind")


def _remove_leftover_folder(leftover: Path, report: Callable[[str], None]) -> None:
    """Remove a folder unless a process has locked it."""
    lock = lock_directory(leftover, fcntl.LOCK_EX)
    if lock is None or lock == NO_DIRECTORY:
        return
    try:
        plan = creation_plan.read(leftover)
        if not _is_ours(leftover) or (plan is not None and plan.moving):
            return
        ring = "; it contained a private ring" if any(leftover.rglob(f"*{_RING}")) else ""
        remove_folder(leftover)
    finally:
        unlock(lock)
    command = f"`nightsafe {plan.command}`" if plan else "command"
    report(f"removed {leftover}, which an interrupted {command} left behind{ring}")


def _is_ours(leftover: Path) -> bool:
    """Return whether a command created the folder: it contains a plan, or nothing but an incomplete plan."""
    return (leftover / NAME).exists() or all(_is_draft(entry) for entry in leftover.iterdir())


def remove_folder(path: Path) -> None:
    """Remove a folder, its plan last, so that an interrupted removal can still be recognised."""
    for entry in path.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != NAME:
            entry.unlink()
    (path / NAME).unlink(missing_ok=True)
    path.rmdir()


def _is_draft(path: Path) -> bool:
    """Return whether a file is an incomplete plan."""
    return path.name.startswith(f".{NAME}.")


def _remove_leftover_link(link: Path, report: Callable[[str], None]) -> None:
    """Remove the working folder that a link points to, and then the link."""
    target = link.readlink()
    if target.name.startswith(PREFIX):
        remove_leftover(target, report)
    if target.parent.exists() and not target.exists():
        link.unlink(missing_ok=True)
