"""A user's environment: a home, a working directory, and `nightsafe` set up for one server and one script."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests import forked_commands
from tests.clients.cli.tools.terminal import Terminal, plain
from tests.clients.stored_values import opened
from tests.clients.wire.talk import SCRIPTS, Wire
from tests.server import NIGHTSAFE, Server

_SECONDS = 120


class UserEnvironment:
    """Runs commands, in a terminal or through pipes.

    Args:
        server: the server that the commands use.
        script: the script that the commands use.
        folder: an empty folder for this environment.
    """

    def __init__(self, server: Server, script: str, folder: Path) -> None:
        self.server = server
        self.script = script
        self.home = folder / "home"
        self.cwd = folder / "work"
        self.temporary = folder / "tmp"
        for path in (self.home, self.cwd, self.temporary):
            path.mkdir()
        self.environ = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "TERM": "xterm",
            "LANG": "C.UTF-8",
            "CLOUDFLARE_BASE_URL": server.base_url,
            "CLOUDFLARE_API_TOKEN": server.safe.api_token,
            "NIGHTSAFE_SCRIPT": script,
            **{name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ},
        }

    @property
    def wire(self) -> Wire:
        """Return a client that sends raw requests."""
        return Wire.to(self.server)

    def values(self) -> dict[str, str]:
        """Return the values that the script would receive."""
        return opened(self.server.safe, self.script)

    def version_number(self) -> int:
        """Return the number of the script's newest version."""
        with self.wire as wire:
            return int(wire.ask("GET", f"{SCRIPTS}/{self.script}/versions").result["items"][0]["number"])

    def terminal(self, *arguments: str, command: Sequence[str] = NIGHTSAFE, cold: bool = False) -> Terminal:
        """Start a command in a terminal; `cold` is that of `Terminal`."""
        return Terminal([*command, *arguments], self.cwd, self.environ, cold=cold)

    def at_terminal(self, *arguments: str, replies: Sequence[tuple[str, str]] = ()) -> tuple[int, str]:
        """Run a command in a terminal to its end; return its exit code and the text on the screen."""
        with self.terminal(*arguments) as terminal:
            for question, reply in replies:
                terminal.answer(question, reply)
            code = terminal.end()
            return code, plain(terminal.shown)

    def run(self, *arguments: str, stdin: bytes = b"", **environ: str) -> subprocess.CompletedProcess[str]:
        """Run a command through pipes to its end."""
        done = forked_commands.run(
            *arguments, cwd=self.cwd, environ=self.environ | environ, stdin=stdin, seconds=_SECONDS
        )
        assert b"Traceback" not in done.stderr, done.stderr.decode()
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    def json(self, *arguments: str, stdin: bytes = b"", code: int = 0) -> Any:
        """Run a command with `--json`; return its output."""
        done = self.run(*arguments, "--json", stdin=stdin)
        assert code == done.returncode, done.stderr
        return json.loads(done.stdout)

    def refusal(self, *arguments: str, code: int, stdin: bytes = b"", **environ: str) -> str:
        """Run a command that must be refused and print nothing on standard output; return its message."""
        done = self.run(*arguments, stdin=stdin, **environ)
        assert (code, "") == (done.returncode, done.stdout), done.stderr
        return done.stderr

    def write(self, name: str, content: str | bytes) -> str:
        """Write a file in the working directory; return its name."""
        (self.cwd / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return name
