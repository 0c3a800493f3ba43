"""Lines for a shell, typed into this process: a page's many commands without starting an interpreter for each."""

import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result

from nightsafe.cli.main import cli
from nightsafe.cli.terminal import confirm
from nightsafe.errors import NightsafeError


class Typist:
    """Somebody at a terminal who agrees to every question.

    Args:
        monkeypatch: puts the working directory back, and what a terminal is.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch
        monkeypatch.setattr(confirm, "is_interactive", lambda: True)

    def command(self, *arguments: str, cwd: Path, environ: Mapping[str, str | None]) -> tuple[int, str, str]:
        """One `nightsafe` command: its exit code, and what is on its standard output and standard error."""
        self._patch.chdir(cwd)
        done: Result = CliRunner().invoke(cli, arguments, input="y\n", env=environ)
        structlog.reset_defaults()  # what a command has set up writes to streams that are gone
        if isinstance(done.exception, NightsafeError):
            return 1, done.stdout, done.exception.problems[0].detail
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.stdout, done.stderr

    def line(self, line: str, cwd: Path, environ: Mapping[str, str | None]) -> str:
        """A line of commands with `&&` and `>`, each of which must end well; gives all that is on the screen."""
        screen = ""
        for part in line.split("&&"):
            words, _, target = part.partition(">")
            program, *arguments = shlex.split(words, comments=True)
            if program == "nightsafe":
                code, stdout, stderr = self.command(*arguments, cwd=cwd, environ=environ)
                assert code == 0, (part, stderr)
            else:
                stdout = stderr = subprocess.run([program, *arguments], cwd=cwd, check=True, text=True).stdout or ""
            if target:
                (cwd / target.strip()).write_text(stdout)
            screen += ("" if target else stdout) + stderr
        return screen
