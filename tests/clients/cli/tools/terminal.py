"""A program that runs in a pseudo-terminal of its own."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests import forked_commands
from tests.server import NIGHTSAFE

_SECONDS = 60
_ROWS, _COLUMNS = 50, 240
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def plain(shown: str) -> str:
    """Return the text on the screen without its colours."""
    return _COLOUR.sub("", shown).replace("\r\n", "\n")


class Terminal:
    """A terminal in which a program runs; leaving the `with` statement kills the program.

    Args:
        command: the program and its arguments.
        cwd: its working directory.
        environ: its whole environment.
        cold: whether to start a new interpreter for `nightsafe`, which shows its arguments and environment to others,
            instead of forking one that has imported everything.
    """

    def __init__(self, command: Sequence[str], cwd: Path, environ: Mapping[str, str], *, cold: bool = False) -> None:
        self._master, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
        start = _start if cold or not _can_fork(command, environ) else _fork
        self._process = start(command, cwd, environ, terminal)
        os.close(terminal)
        self.shown = ""

    def __enter__(self) -> Self:
        """Return the terminal."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill the program and close the terminal."""
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    @property
    def pid(self) -> int:
        """Return the program's process id."""
        return self._process.pid

    def wait_for(self, text: str) -> None:
        """Read until new output contains a text."""
        self.wait_for_match(re.escape(text))

    def wait_for_match(self, pattern: str) -> re.Match[str]:
        """Read until new output matches a pattern; return the match."""
        start = len(self.shown)
        while (found := re.search(pattern, plain(self.shown[start:]))) is None:
            if not self._read():
                raise AssertionError(f"{pattern!r} was never shown; the screen has: {self.shown}")
        return found

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._master, text.encode())

    def answer(self, question: str, reply: str) -> None:
        """Wait for a question, then type a line."""
        self.wait_for(question)
        self.type(reply + "\n")

    def end(self) -> int:
        """Read until the program ends; return its exit code."""
        while self._read():
            pass
        return self._process.wait(_SECONDS)

    def _read(self) -> bool:
        """Read the next output; return False at its end."""
        ready, _, _ = select.select([self._master], [], [], _SECONDS)
        if not ready:
            raise AssertionError(f"no more output came; the screen has: {self.shown}")
        try:
            shown = os.read(self._master, 65536)
        except OSError:  # the other end is closed
            return False
        self.shown += shown.decode(errors="replace")
        return bool(shown)


def settle(condition: object, seconds: float = _SECONDS) -> None:
    """Wait until a condition is true."""
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def _can_fork(command: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Return whether a program is `nightsafe` in an environment for which it can be forked."""
    return tuple(command[: len(NIGHTSAFE)]) == NIGHTSAFE and forked_commands.can_start(environ)


def _fork(
    command: Sequence[str], cwd: Path, environ: Mapping[str, str], terminal: int
) -> "subprocess.Popen[bytes] | forked_commands.Started":
    """Fork `nightsafe` in a session of its own with this terminal."""
    arguments = command[len(NIGHTSAFE) :]
    return forked_commands.start(*arguments, cwd=cwd, environ=environ, standard=(terminal,) * 3)


def _start(
    command: Sequence[str], cwd: Path, environ: Mapping[str, str], terminal: int
) -> "subprocess.Popen[bytes] | forked_commands.Started":
    """Start a program in a session of its own with this terminal."""
    return subprocess.Popen(
        command,
        cwd=cwd,
        env=dict(environ),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=forked_commands.take_terminal,  # noqa: PLW1509 - it only makes one system call
    )
