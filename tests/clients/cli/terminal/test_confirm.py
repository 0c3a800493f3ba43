"""Nothing that destroys goes without a word: asked at a terminal, `--yes` without one, alike for every command."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.clients.cli.tools.desk import Desk
from tests.clients.cli.tools.sources import CLI, commands_that_name, every_command, parsed
from tests.clients.wire.talk import SCRIPTS
from tests.server import Safe

from nightsafe.cli.main import cli
from nightsafe.cli.terminal import confirm
from nightsafe.sealing.rings.private_ring import PrivateRing

ASKING = {"confirm", "confirm_put", "confirm_all", "confirm_known", "ready_key"}
KEY = ("--algorithm", "HMAC", "--no-fingerprint")

EXAMPLES = {
    "keys remove": ((("KEY",), r"Delete the key [0-9a-f]{16}\? Values sealed to it, .* Go on\?"),),
    "token roll": ((("TOKEN",), r"Give the token owner \([0-9a-f]{32}\) a new value\? The old value will .*"),),
    "token revoke": ((("TOKEN",), r"Delete the token owner \([0-9a-f]{32}\)\? It will be refused\."),),
    "secret put": ((("HMAC", "--from-file", "value"), r"Replace HMAC, a key \(HMAC .*\), by a text, of SCRIPT\?"),),
    "secret delete": ((("TEXT", "HMAC"), r"Delete TEXT, HMAC of SCRIPT\?"),),
    "secret bulk": (
        (("nulls.json",), r"Delete TEXT of SCRIPT\?"),
        (("HMAC.env",), r"Replace HMAC, a key \(HMAC .*\), by a text, of SCRIPT\?"),
    ),
    "secret import": ((("HMAC.env", "--overwrite"), r"Replace HMAC, a key .*, by a text, of SCRIPT\?"),),
    "secret apply": (
        (("one.env", "--prune"), r"Delete HMAC, TEXT of SCRIPT\?"),
        (("nulls.json",), r"Delete TEXT of SCRIPT\?"),
        (("HMAC.env",), r"Replace HMAC, a key .*, by a text, of SCRIPT\?"),
        (("HMAC.env", "--prune"), r"Delete TEXT and replace HMAC, a key .*, by a text, of SCRIPT\?"),
    ),
    "secret key generate": (
        (("TEXT", *KEY), r"Replace TEXT, a text, by a key \(HMAC SHA-256, raw, for sign, verify\), of SCRIPT\?"),
        (("HMAC", "--algorithm", "AES-GCM", "--no-fingerprint"), r"Replace HMAC, a key .*, by a key .*, of SCRIPT\?"),
    ),
    "secret key import": ((("TEXT", "value", *KEY), r"Replace TEXT, a text, by a key \(HMAC .*\), of SCRIPT\?"),),
    "rollback": (((), r"Deploy version \d+ \(.*\) of SCRIPT, created on .*\?"),),
}
"""What destroys, by command: arguments, and what is asked."""

IN_TEST_RING = {"ring forget", "ring trust"}
"""These ask of a file that other tests lay: `test_ring.py`."""

CASES = [(words, arguments, question) for words, cases in EXAMPLES.items() for arguments, question in cases]
IDS = [f"{words} {' '.join(arguments)}" for words, arguments, _ in CASES]


def test_every_command_that_asks_is_here() -> None:
    """A command that asks has an example above; it has the one flag `--yes`, and asks by the one function."""
    asking = set().union(*(commands_that_name(name) for name in ASKING))
    with_flag = {words for words, command in every_command() if "--yes" in str([one.opts for one in command.params])}
    assert EXAMPLES.keys() | IN_TEST_RING == asking == with_flag
    elsewhere = [
        path.name
        for path in CLI.rglob("*.py")
        if re.search(r"click\.confirm\(|\"--yes\"", path.read_text()) and path.name != "confirm.py" and parsed(path)
    ]
    assert [] == elsewhere


class Desktop:
    """Commands in this process, with what they could destroy.

    Args:
        desk: whose script and home they have.
        safe: a data directory that nobody serves.
        monkeypatch: puts working directory and environment back.
    """

    def __init__(self, desk: Desk, safe: Safe, monkeypatch: pytest.MonkeyPatch) -> None:
        self.desk = desk
        self.safe = safe
        self.patch = monkeypatch
        monkeypatch.chdir(desk.cwd)
        for name, content in {
            "value": "0123456789abcdef",
            "nulls.json": '{"TEXT": null, "NEVER": null}',
            "HMAC.env": "HMAC=text\n",
            "one.env": "OTHER=1\n",
        }.items():
            desk.write(name, content)
        with desk.wire as wire:
            for fields in (TEXT, HMAC):
                assert wire.send("PUT", f"{SCRIPTS}/{desk.script}/secrets", fields).status == 200
        self.known = {"KEY": _retired_key(safe), "TOKEN": _token(safe.database)}

    def run(self, words: str, *arguments: str, answer: str = "") -> Result:
        """One command."""
        environ: dict[str, str | None] = {**self.desk.environ, "NIGHTSAFE_DATA": str(self.safe.path)}
        line = [*words.split(), *(self.known.get(one, one) for one in arguments)]
        return CliRunner().invoke(cli, line, input=answer, env=environ)

    def at_terminal(self) -> None:
        """Let there be somebody to ask."""
        self.patch.setattr(confirm, "is_interactive", lambda: True)

    def state(self) -> Any:
        """All that could be lost."""
        with self.desk.wire as wire:
            deployed = wire.ask("GET", f"{SCRIPTS}/{self.desk.script}/deployments").result
        with closing(sqlite3.connect(self.safe.database)) as db:
            tokens = db.execute("SELECT id, digest FROM tokens").fetchall()
        return deployed, tokens, self.safe.private_ring.read_bytes()


TEXT = {"name": "TEXT", "type": "secret_text", "text": "a value"}
HMAC = {
    "name": "HMAC",
    "type": "secret_key",
    "format": "raw",
    "algorithm": {"name": "HMAC", "hash": "SHA-256"},
    "usages": ["sign", "verify"],
    "key_base64": "c2VjcmV0IGtleSBieXRlcw==",
}


def _retired_key(safe: Safe) -> str:
    """A key of a rotation that has been retired."""
    ring = PrivateRing.load(safe.private_ring)
    old = ring.public().primary.id
    rotated = ring.rotated().retired(old)
    rotated.save(safe.private_ring, replace=True)
    rotated.public().save(safe.path / "keys" / "public-ring.json", replace=True)
    return old


def _token(database: Path) -> str:
    """The id of a token that is there."""
    with closing(sqlite3.connect(database)) as db:
        [(token_id,)] = db.execute("SELECT id FROM tokens").fetchall()
    return str(token_id)


@pytest.fixture
def desktop(desk: Desk, safe: Safe, monkeypatch: pytest.MonkeyPatch) -> Desktop:
    """One with something to lose."""
    return Desktop(desk, safe, monkeypatch)


@pytest.mark.parametrize(("words", "arguments", "question"), CASES, ids=IDS)
def test_it_is_agreed_to_or_not_done(desktop: Desktop, words: str, arguments: tuple[str, ...], question: str) -> None:
    """Without a terminal it is refused with 2, by the question and `--yes`; a no changes nothing; `--yes` does it."""
    pattern = question.replace("SCRIPT", re.escape(desktop.desk.script))
    before = desktop.state()

    alone = desktop.run(words, *arguments)
    assert (2, "") == (alone.exit_code, alone.stdout.partition("name")[0]), alone.output
    refused = rf"nightsafe: {pattern} There is no terminal to ask at, so nothing was done: give --yes .*\n"
    assert re.fullmatch(refused, alone.stderr.splitlines(keepends=True)[-1]), alone.stderr

    desktop.at_terminal()
    no = desktop.run(words, *arguments, answer="n\n")
    assert 1 == no.exit_code
    assert re.search(rf"{pattern} \[y/N\]", no.stderr), no.stderr
    assert before == desktop.state()

    yes = desktop.run(words, *arguments, "--yes", *(("--force",) if words == "rollback" else ()))
    assert (0, None) == (yes.exit_code, yes.exception and str(yes.exception)), yes.output
    assert before != desktop.state()


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ("secret put", ("TEXT", "--from-file", "value")),
        ("secret put", ("NEW", "--from-file", "value")),
        ("secret bulk", ("one.env",)),
        ("secret apply", ("one.env",)),
        ("secret import", ("HMAC.env",)),
        ("secret key generate", ("HMAC", *KEY)),
        ("secret key generate", ("NEW", *KEY)),
        ("secret key import", ("HMAC", "value", *KEY)),
    ],
)
def test_nobody_is_asked_for_nothing(desktop: Desktop, words: str, arguments: tuple[str, ...]) -> None:
    """What is new, or takes the place of something of its kind, goes through without a word."""
    done = desktop.run(words, *arguments)
    assert (0, False) == (done.exit_code, "?" in done.stderr), done.output
