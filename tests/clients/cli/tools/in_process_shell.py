"""Shell lines run in this process: the many commands of a page without an interpreter for each."""

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
    """A user at a terminal who agrees to every question.

    Args:
        monkeypatch: restores the working directory and the check for a terminal.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch
        monkeypatch.setattr(confirm, "is_interactive", lambda: True)

    def command(self, *arguments: str, cwd: Path, environ: Mapping[str, str | None]) -> tuple[int, str, str]:
        """Run one `nightsafe` command; return its exit code, its standard output and its standard error."""
        self._patch.chdir(cwd)
        done: Result = CliRunner().invoke(cli, arguments, input="y\n", env=environ)
        structlog.reset_defaults()  # the command's log goes to streams that are closed now
        if isinstance(done.exception, NightsafeError):
            return 1, done.stdout, done.exception.problems[0].detail
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.stdout, done.stderr

    def line(self, line: str, cwd: Path, environ: Mapping[str, str | None]) -> str:
        """Run a line of commands with `&&` and `>`, which must all succeed; return the text on the screen."""
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
