"""Rereads a key file whenever it has been replaced, so that a rotation needs no restart."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, TypeVar

from nightsafe.errors import NightsafeError

T = TypeVar("T")

_Stamp = tuple[int, int, int, int, int] | None


class ReloadedFile(Generic[T]):
    """The current content of a key file. A check costs a microsecond, so callers check at each use.

    If the file becomes unreadable, damaged, accessible to others or older, the previous content stays in use, and the
    problem is reported once.

    Args:
        path: the file, which its writer replaces whole.
        load: reads the file.
        report: receives the problem with a replacement file that cannot be used.
        combine: combines the content read and the content in use into the content to use; refuses an older ring.

    Raises:
        NightsafeError: INVALID, as `load` raises it, when the first read fails.
    """

    __slots__ = ("_combine", "_current", "_load", "_path", "_report", "_stamp")

    def __init__(
        self,
        path: Path,
        load: Callable[[Path], T],
        report: Callable[[NightsafeError], None] = lambda _: None,
        combine: Callable[[T, T, str], T] = lambda new, _, __: new,
    ) -> None:
        self._path: Final = path
        self._load: Final = load
        self._report: Final = report
        self._combine: Final = combine
        self._stamp = _stamp(path)
        self._current = load(path)

    def replace_until_change(self, change: Callable[[T], T]) -> T:
        """Replace the content in use until the file changes; return the new content."""
        self._current = change(self._current)
        return self._current

    def current(self) -> T:
        """Return the content of the last readable file; the same object until the file changes."""
        stamp = _stamp(self._path)
        if stamp != self._stamp:
            self._stamp = stamp  # taken before the read, so the next check sees a write during the read
            try:
                self._current = self._combine(self._load(self._path), self._current, str(self._path))
            except NightsafeError as error:
                self._report(error)
        return self._current


def _stamp(path: Path) -> _Stamp:
    """Return a stamp that changes when the file is replaced, written or its mode changes; None without a file."""
    try:
        status = os.stat(path)  # noqa: PTH116 - half the cost of `Path.stat`
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
