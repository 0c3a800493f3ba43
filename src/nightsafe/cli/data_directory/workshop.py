"""A folder that a command makes something in before it gets its name, and what an interrupted one has left behind.

The folder is locked for as long as its command lives. One that can be locked is nobody's any more: what was to become
of it is in its plan, and the next command that comes by carries that out, or removes it, and says so.
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
    """A path in a directory that nobody else has."""
    return where / f"{PREFIX}{secrets.token_hex(6)}"


class Workshop:
    """A folder of mode 0700 that is this process's own. Made by `begin`.

    Args:
        path: of the folder.
        written: its plan.
        lock: the descriptor that holds it.
    """

    def __init__(self, path: Path, written: Plan, lock: int) -> None:
        self.path: Final = path
        self.plan: Final = written
        self._lock = lock

    @classmethod
    def begin(cls, path: Path, command: str, aside: str = "") -> Self:
        """Make a folder at a `new_path`, with the plan in it.

        Raises:
            OSError: when it cannot be made.
        """
        path.mkdir(mode=0o700)
        lock = take(path, fcntl.LOCK_EX)
        if lock is None or lock == NOTHING:
            raise NightsafeError(Code.UNAVAILABLE, f"another process took {path} for one that was left; try again")
        made = cls(path, Plan(command=command, folder=path.name, aside=aside), lock)
        try:
            unfinished.write(path, made.plan)
        except BaseException:
            made.remove()
            raise
        return made

    def remove(self) -> None:
        """Remove it with all that is in it, and let go of it."""
        try:
            demolish(self.path)
        finally:
            self.release()

    def release(self) -> None:
        """Let go of it, wherever it is by now."""
        release(self._lock)
        self._lock = NOTHING


def left_in(where: Path) -> Iterator[Path]:
    """The folders in a directory that commands have made to work in, or links to such: at work or left behind."""
    with suppress(OSError):
        yield from sorted(one for one in where.iterdir() if one.name.startswith(PREFIX))


def clear(left: Path, told: Callable[[str], None] = tell) -> None:
    """Remove a folder that an interrupted command has left, and say so; one that is in use is left alone."""
    try:
        if left.is_symlink():
            _clear_linked(left, told)
        elif left.lstat().st_uid == os.geteuid():  # in what is another's, names may change under our hands
            _clear_folder(left, told)
    except FileNotFoundError:
        return  # another command was quicker
    except OSError as error:
        told(f"{left} cannot be removed: {error.strerror}; an interrupted command has left it")


def _clear_folder(left: Path, told: Callable[[str], None]) -> None:
    """Remove a folder that nobody has locked."""
    lock = take(left, fcntl.LOCK_EX)
    if lock is None or lock == NOTHING:
        return
    try:
        found = unfinished.read(left)
        if not _is_ours(left) or (found is not None and found.moving):
            return
        ring = "; a private ring was in it" if any(left.rglob(f"*{_RING}")) else ""
        demolish(left)
    finally:
        release(lock)
    command = f"`nightsafe {found.command}`" if found else "a command"
    told(f"{left} is removed: {command} that was interrupted has left it{ring}")


def _is_ours(left: Path) -> bool:
    """Whether a command made a folder: it begins with the plan. An empty one is nothing to anybody."""
    return (left / NAME).exists() or all(_is_draft(one) for one in left.iterdir())


def demolish(path: Path) -> None:
    """Remove a folder, its plan last: so what is left of it is still known for what it is."""
    for entry in path.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != NAME:
            entry.unlink()
    (path / NAME).unlink(missing_ok=True)
    path.rmdir()


def _is_draft(path: Path) -> bool:
    """Whether a file is a plan that was not written to its end."""
    return path.name.startswith(f".{NAME}.")


def _clear_linked(link: Path, told: Callable[[str], None]) -> None:
    """Remove what a link leads to, which a command works in elsewhere, and then the link."""
    target = link.readlink()
    if target.name.startswith(PREFIX):
        clear(target, told)
    if target.parent.exists() and not target.exists():
        link.unlink(missing_ok=True)
