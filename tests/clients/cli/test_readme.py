"""The README's blocks, run in order in a fresh directory, at the prompt of a real shell."""

import os
import re
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.clients.cli.tools.terminal import Terminal, plain
from tests.clients.node.tools import MODULES, know_of_no_update
from tests.clients.stored_values import opened
from tests.live.tools.running import surroundings
from tests.server import Safe

ROOT = Path(__file__).parents[3]
BLOCK = re.compile(r"(?:<!-- not run: (?P<why>[^>]+) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)```", re.DOTALL)
PRINTED = re.compile(r"account id +(?P<account>[0-9a-f]{32})\s+API token +(?P<token>nst_\w+)")
LINKED = ("Makefile", "pyproject.toml", "requirements", "src", "workerd")
PROMPT = "ended:$?:"
PAUSE = r"ended:(?P<code>\d+):|\n(?P<serves>listening on )|(?P<asks>Value of API_KEY: )"
DIFFERS = 7


class Block(NamedTuple):
    """One block of the README; `why` is the reason if it is not run."""

    language: str
    text: str
    why: str | None


def blocks() -> list[Block]:
    """Return all blocks in order."""
    found = BLOCK.finditer((ROOT / "README.md").read_text())
    return [Block(match["language"], match["text"], match["why"]) for match in found]


class ReadmeRunner:
    """Types the README's text exactly, with four exceptions.

    Two ports are replaced by free ones, with `NIGHTSAFE_PORT` and `NIGHTSAFE_LISTEN` and in the text. An `…` is
    replaced by the credential that `init` printed. The things that `make run`, `make workerd` and `npx` would install
    are there already: the stamps of make are set, and `npx` runs the wrangler of the tests. Wrangler's check for
    updates is off.

    A shell in which a command serves stays busy, and the following lines are typed in another shell. `nightsafe run`
    replaces `serve`, so it is typed in the first shell after Ctrl-C.

    Args:
        folder: an empty directory.
        stack: ends the shells when it is closed.
    """

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder / "nightsafe"
        self.home = folder / "home"
        self._tools = folder / "bin"
        self._stack = stack
        self._ports = {"8787": str(free_port()), "8788": str(free_port())}
        self._check_out()
        self._shells = [self._open_shell()]

    @property
    def shown(self) -> str:
        """Return the text on the screens of all shells."""
        return "".join(plain(shell.shown) for shell in self._shells)

    @property
    def printed(self) -> dict[str, str]:
        """Return the credentials that `init` printed."""
        found = PRINTED.search(self.shown)
        return found.groupdict() if found else {}

    def run_block(self, block: Block) -> None:
        """Type the lines of a block."""
        shell = self._shells[-1]
        if "nightsafe run" in block.text:
            self.end_serving()
            shell = self._shells[0]
        if block.language == "python":
            (self.folder / "block.py").write_text(self._filled_in(block.text))
            self._enter(shell, "python block.py")
            return
        for line in filter(None, map(str.strip, block.text.splitlines())):
            self._enter(shell, self._filled_in(line))

    def end_serving(self) -> None:
        """Press Ctrl-C in the serving shell; the server must exit with 0."""
        self._shells[0].type("\x03")
        assert "0" == self._shells[0].wait_for_match(PAUSE)["code"], self._shells[0].shown

    def _filled_in(self, text: str) -> str:
        """Return a text with the actual ports and credentials."""
        for documented, port in self._ports.items():
            text = text.replace(f":{documented}", f":{port}")
        if "nst_…" in text:
            text = text.replace("nst_…", self.printed["token"]).replace("ID=…", f"ID={self.printed['account']}")
        return text

    def _enter(self, shell: Terminal, line: str) -> None:
        """Type a line, answer its question, and check that it succeeds."""
        shell.type(f"{line}\n")
        while True:
            found = shell.wait_for_match(PAUSE)
            if found["serves"]:
                if "nightsafe run" in line:
                    shell.wait_for("delivering on ")
                if len(self._shells) == 1:
                    self._shells.append(self._open_shell())
                return
            if found["code"]:
                assert int(found["code"]) in {0, DIFFERS if " diff " in line else 0}, plain(shell.shown)
                return
            shell.type("a value\n")

    def _open_shell(self) -> Terminal:
        """Open another shell with the environment of a new login, without the other shell's variables."""
        environ = {
            **surroundings(),
            "PATH": f"{self._tools}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home),
            "TERM": "dumb",
            "LANG": "C.UTF-8",
            "PS1": PROMPT,
            "HISTFILE": "/dev/null",
            "CI": "1",
            "WRANGLER_SEND_METRICS": "false",
            "NIGHTSAFE_PORT": self._ports["8787"],
            "NIGHTSAFE_LISTEN": f"127.0.0.1:{self._ports['8788']}",
        }
        command = ["bash", "--norc", "--noprofile", "-i"]
        shell = self._stack.enter_context(Terminal(command, self.folder, environ))
        shell.wait_for("ended:0:")
        return shell

    def _check_out(self) -> None:
        """Lay out the repository as after `git clone`, with its virtual environment and the runtime installed."""
        for path in (self.home, self._tools, self.folder / ".venv", self.folder / ".workerd"):
            path.mkdir(parents=True)
        for name in LINKED:
            (self.folder / name).symlink_to(ROOT / name)
        shutil.copytree(ROOT / "examples", self.folder / "examples")
        for entry in Path(sys.prefix).iterdir():
            if entry.name in {"bin", "include", "lib", "lib64", "pyvenv.cfg"}:
                (self.folder / ".venv" / entry.name).symlink_to(entry)
        for stamp in (".venv/.run", ".workerd/.installed"):
            (self.folder / stamp).touch()
        npx = self._tools / "npx"
        npx.write_text(f'#!/bin/sh\ncommand=$1; shift\nexec {MODULES}/.bin/"$command" "$@"\n')
        npx.chmod(0o755)
        know_of_no_update(self.home)


def free_port() -> int:
    """Return a port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture
def readme(tmp_path: Path) -> Iterator[ReadmeRunner]:
    """Yield a runner with a fresh directory."""
    with ExitStack() as stack:
        yield ReadmeRunner(tmp_path, stack)


@pytest.mark.thorough
def test_every_block_of_the_readme_works(readme: ReadmeRunner) -> None:
    """Every block that can be run does what the text says and needs nothing from a later block."""
    for block in blocks():
        if not block.why:
            readme.run_block(block)

    safe = Safe(
        path=readme.folder / ".nightsafe",
        account_id=readme.printed["account"],
        api_token=readme.printed["token"],
        email="",
        api_key="",
    )
    assert "WorkersBindingKindSecretText(name='mySecret', type='secret_text')" in readme.shown
    assert "WorkersBindingKindSecretText(name='API_KEY'" in readme.shown
    assert (readme.folder / "safe.tar").is_file()
    assert {"API_KEY": "another value"} == opened(safe, "my-worker")
    assert {"GREETING": "hello"} == opened(safe, "greeter")
    assert re.search(r"curl http://greeter.localhost:\d+/\nhello\n", readme.shown)
    readme.end_serving()


def test_blocks_that_are_not_run_have_a_reason() -> None:
    """Only two blocks are not run, and each has its reason in a comment."""
    left_out = [block for block in blocks() if block.why]

    assert 2 == len(left_out)
    assert all(len(str(block.why)) > 10 for block in left_out)
    assert {"sh", "python"} == {block.language for block in blocks()}
