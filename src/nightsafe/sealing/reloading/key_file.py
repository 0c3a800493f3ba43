"""A key file that is read anew whenever it has been replaced, so that a rotation needs no restart."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, TypeVar

from nightsafe.errors import NightsafeError

T = TypeVar("T")

_Stamp = tuple[int, int, int, int, int] | None


class Reloading(Generic[T]):
    """What is in a key file now. To look costs a microsecond, so whoever needs it looks each time.

    A file that has become unreadable, damaged, open to others or older changes nothing: what was read before stays in
    use, and that is reported once.

    Args:
        path: the file, which is replaced whole.
        load: reads it.
        report: is told what is wrong with the file that has taken its place.
        succeed: makes of what was read, and what is in use, what is to be used; refuses an older ring.

    Raises:
        NightsafeError: INVALID, as `load`, when it cannot be read at first.
    """

    __slots__ = ("_current", "_load", "_path", "_report", "_stamp", "_succeed")

    def __init__(
        self,
        path: Path,
        load: Callable[[Path], T],
        report: Callable[[NightsafeError], None] = lambda _: None,
        succeed: Callable[[T, T, str], T] = lambda new, _, __: new,
    ) -> None:
        self._path: Final = path
        self._load: Final = load
        self._report: Final = report
        self._succeed: Final = succeed
        self._stamp = _stamp(path)
        self._current = load(path)

    def amend(self, change: Callable[[T], T]) -> T:
        """Use something else than what was read, until the file is another one; gives that."""
        self._current = change(self._current)
        return self._current

    def current(self) -> T:
        """What was in the file when it was last readable; the same object for as long as it is the same file."""
        stamp = _stamp(self._path)
        if stamp != self._stamp:
            self._stamp = stamp  # of before it is read: what is written meanwhile is seen next time
            try:
                self._current = self._succeed(self._load(self._path), self._current, str(self._path))
            except NightsafeError as error:
                self._report(error)
        return self._current


def _stamp(path: Path) -> _Stamp:
    """What differs once a file was replaced, written to, or its rights changed; None when there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - half the cost of the method of the path
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
