"""File-system calls that end at a chosen step, as if the process had been killed there."""

import os
from collections.abc import Callable
from typing import Any, Final

import pytest

from nightsafe.cli.data_directory import directory_swap, placement

_CALLS: Final = ("rename", "replace", "link", "symlink", "unlink", "rmdir", "mkdir")


class Killed(BaseException):
    """The death of the process: no code of Nightsafe handles it."""


class Steps:
    """Counts the calls that create, remove or exchange names; from a chosen call on, none is made any more.

    Args:
        monkeypatch: replaces the calls.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._left: int | None = None
        self.struck = False
        for name in _CALLS:
            monkeypatch.setattr(os, name, self._counted(getattr(os, name)))
        monkeypatch.setattr(os, "open", self._opening(os.open))
        monkeypatch.setattr(
            os, "fsync", lambda _: None
        )  # unlike a crash of the machine, a kill loses no written data
        monkeypatch.setattr(placement, "swap_directories", self._counted(directory_swap.swap_directories))

    def arm(self, calls: int) -> None:
        """Die after this many more calls."""
        self._left, self.struck = calls, False

    def heal(self) -> None:
        """Let every call be made."""
        self._left = None

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that makes the call, unless the process has died."""

        def counted(*arguments: Any, **rest: Any) -> Any:
            self._step()
            return call(*arguments, **rest)

        return counted

    def _opening(self, call: Callable[..., int]) -> Callable[..., int]:
        """Return a function that opens a file, which is a step when it creates the file."""

        def opening(path: Any, flags: int, *arguments: Any, **rest: Any) -> int:
            if flags & os.O_CREAT:
                self._step()
            return call(path, flags, *arguments, **rest)

        return opening

    def _step(self) -> None:
        """Count one more call, and die if it is the chosen one."""
        if self._left is None:
            return
        if self._left == 0:
            self.struck = True
            raise Killed
        self._left -= 1
