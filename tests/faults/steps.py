"""File-system calls that end at a chosen step, as if the process had been killed there."""

import os
from collections.abc import Callable
from typing import Any, Final

import pytest

from nightsafe.cli.data_directory import exchange, placing

_CALLS: Final = ("rename", "replace", "link", "symlink", "unlink", "rmdir", "mkdir")


class Killed(BaseException):
    """The process is dead: nothing of ours handles this."""


class Steps:
    """Counts the calls that change what names there are; from a chosen one on none is made any more.

    Args:
        monkeypatch: takes the calls' places.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._left: int | None = None
        self.struck = False
        for name in _CALLS:
            monkeypatch.setattr(os, name, self._counted(getattr(os, name)))
        monkeypatch.setattr(os, "open", self._opening(os.open))
        monkeypatch.setattr(os, "fsync", lambda _: None)  # a kill loses nothing that was written
        monkeypatch.setattr(placing, "exchange", self._counted(exchange.exchange))

    def arm(self, calls: int) -> None:
        """Die after so many more calls."""
        self._left, self.struck = calls, False

    def heal(self) -> None:
        """Let every call be made."""
        self._left = None

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same call, unless it is too late for it."""

        def counted(*arguments: Any, **rest: Any) -> Any:
            self._step()
            return call(*arguments, **rest)

        return counted

    def _opening(self, call: Callable[..., int]) -> Callable[..., int]:
        """Opening a file is a step where it makes one."""

        def opening(path: Any, flags: int, *arguments: Any, **rest: Any) -> int:
            if flags & os.O_CREAT:
                self._step()
            return call(path, flags, *arguments, **rest)

        return opening

    def _step(self) -> None:
        """One more call."""
        if self._left is None:
            return
        if self._left == 0:
            self.struck = True
            raise Killed
        self._left -= 1
