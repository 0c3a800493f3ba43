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

from nightsafe.cli.data_directory import unfinished
from nightsafe.cli.data_directory.lock import NOTHING, release, take
from nightsafe.cli.data_directory.unfinished import NAME, PREFIX, Plan
from nightsafe.cli.terminal.output import tell
from nightsafe.errors import Code, NightsafeError

_RING: Final = "private-ring.json"


def new_path(where: Path) -> Path:
    """Return a path for a new working folder, with a random name."""
    return where / f"{PREFIX}{secrets.token_hex(6)}"


class Workshop:
    """A working folder of this process, of mode 0700. Use `begin` to create one.

    Args:
        path: path of the folder.
        written: its plan.
        lock: the descriptor that holds its lock.
    """

    def __init__(self, path: Path, written: Plan, lock: int) -> None:
        self.path: Final = path
        self.plan: Final = written
        self._lock = lock

    @classmethod
    def begin(cls, path: Path, command: str, aside: str = "") -> Self:
        """Create a folder at a `new_path`, with its plan.

        Raises:
            NightsafeError: UNAVAILABLE, if another process has locked it.
            OSError: if it cannot be created.
        """
        path.mkdir(mode=0o700)
        lock = take(path, fcntl.LOCK_EX)
        if lock is None or lock == NOTHING:
            raise NightsafeError(
                Code.UNAVAILABLE, f"another process mistook {path} for a left-over folder; try again"
            )
        made = cls(path, Plan(command=command, folder=path.name, aside=aside), lock)
        try:
            unfinished.write(path, made.plan)
        except BaseException:
            made.remove()
            raise
        return made

    def remove(self) -> None:
        """Remove the folder with everything in it, and release its lock."""
        try:
            demolish(self.path)
        finally:
            self.release()

    def release(self) -> None:
        """Release the folder's lock, even if the folder was moved."""
        release(self._lock)
        self._lock = NOTHING


def left_in(where: Path) -> Iterator[Path]:
    """Yield the working folders in a directory, and links to working folders: those in use and those left behind."""
    with suppress(OSError):
        yield from sorted(one for one in where.iterdir() if one.name.startswith(PREFIX))


def clear(left: Path, told: Callable[[str], None] = tell) -> None:
    """Remove a folder that an interrupted command left, and print a line. Leave a folder in use alone."""
    try:
        if left.is_symlink():
            _clear_linked(left, told)
        elif left.lstat().st_uid == os.geteuid():  # in another user's folder, names may change during the removal
            _clear_folder(left, told)
    except FileNotFoundError:
        return  # another command was quicker
    except OSError as error:
        told(f"{left} cannot be removed: {error.strerror}; an interrupted command left it behind")


def _clear_folder(left: Path, told: Callable[[str], None]) -> None:
    """Remove a folder unless a process has locked it."""
    lock = take(left, fcntl.LOCK_EX)
    if lock is None or lock == NOTHING:
        return
    try:
        found = unfinished.read(left)
        if not _is_ours(left) or (found is not None and found.moving):
            return
        ring = "; it contained a private ring" if any(left.rglob(f"*{_RING}")) else ""
        demolish(left)
    finally:
        release(lock)
    command = f"`nightsafe {found.command}`" if found else "command"
    told(f"removed {left}, which an interrupted {command} left behind{ring}")


def _is_ours(left: Path) -> bool:
    """Return whether a command created the folder: it contains a plan, or nothing but an incomplete plan."""
    return (left / NAME).exists() or all(_is_draft(one) for one in left.iterdir())


def demolish(path: Path) -> None:
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


def _clear_linked(link: Path, told: Callable[[str], None]) -> None:
    """Remove the working folder that a link points to, and then the link."""
    target = link.readlink()
    if target.name.startswith(PREFIX):
        clear(target, told)
    if target.parent.exists() and not target.exists():
        link.unlink(missing_ok=True)
