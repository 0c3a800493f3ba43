"""Confirmation of destructive commands: a question in a terminal, `--yes` without one, the same for every command."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.clients.cli.tools.sources import CLI, commands_that_name, every_command, parsed
from tests.clients.cli.tools.user_environment import UserEnvironment
from tests.clients.wire.talk import SCRIPTS
from tests.server import Safe

from nightsafe.cli.main import cli
from nightsafe.cli.terminal import confirm
from nightsafe.sealing.rings.private_ring import PrivateRing

ASKING = {"confirm", "confirm_put", "confirm_all", "confirm_known", "prepare_key"}
KEY = ("--algorithm", "HMAC", "--no-fingerprint")

EXAMPLES = {
    "keys remove": ((("KEY",), r"Delete the key [0-9a-f]{16}\? Values sealed to it, .* Go on\?"),),
    "token roll": ((("TOKEN",), r"Give the token owner \([0-9a-f]{32}\) a new value\? The old value will .*"),),
    "token revoke": ((("TOKEN",), r"Delete the token owner \([0-9a-f]{32}\)\? It will be refused\."),),
    "token refused-rows": (
        (("--delete",), r"Delete these 1 rows\?"),
        (("--accept",), r"Accept these 1 rows with all the rights that they name\?"),
    ),
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
"""The destructive commands: arguments, and the question that each asks."""

TESTED_WITH_RINGS = {"ring forget", "ring trust"}
"""Commands that `test_ring.py` tests, since they ask about a file that its tests write."""

TESTED_WITH_LOGS = {"approve", "audit witness forget", "delivery accept-restore", "migrate"}
"""Commands that have tests of their own, since they ask about logs, or about code that waits for an approval."""

CASES = [(words, arguments, question) for words, cases in EXAMPLES.items() for arguments, question in cases]
IDS = [f"{words} {' '.join(arguments)}" for words, arguments, _ in CASES]


def test_every_command_that_asks_has_an_example() -> None:
    """A command that asks has an example above, has the flag `--yes`, and asks through the same function."""
    asking = set().union(*(commands_that_name(name) for name in ASKING))
    with_flag = {
        words for words, command in every_command() if "--yes" in str([option.opts for option in command.params])
    }
    assert EXAMPLES.keys() | TESTED_WITH_RINGS | TESTED_WITH_LOGS == asking == with_flag
    elsewhere = [
        path.name
        for path in CLI.rglob("*.py")
        if re.search(r"click\.confirm\(|\"--yes\"", path.read_text()) and path.name != "confirm.py" and parsed(path)
    ]
    assert [] == elsewhere


class InProcessUser:
    """Runs commands in this process, with a script and a data directory that they could destroy.

    Args:
        user: its script and home are used.
        safe: a data directory without a server.
        monkeypatch: restores the working directory and the environment.
    """

    def __init__(self, user: UserEnvironment, safe: Safe, monkeypatch: pytest.MonkeyPatch) -> None:
        self.user = user
        self.safe = safe
        self.patch = monkeypatch
        monkeypatch.chdir(user.cwd)
        for name, content in {
            "value": "0123456789abcdef",
            "nulls.json": '{"TEXT": null, "NEVER": null}',
            "HMAC.env": "HMAC=text\n",
            "one.env": "OTHER=1\n",
        }.items():
            user.write(name, content)
        with user.wire as wire:
            for fields in (TEXT, HMAC):
                assert wire.send("PUT", f"{SCRIPTS}/{user.script}/secrets", fields).status == 200
        with closing(sqlite3.connect(safe.database, isolation_level=None)) as db:
            db.execute("INSERT INTO accounts (id, name, created_on) VALUES (?, 'Forged', 1)", ("b" * 32,))
        self.known = {"KEY": _retired_key(safe), "TOKEN": _token(safe.database)}

    def run(self, words: str, *arguments: str, answer: str = "") -> Result:
        """Run one command."""
        environ: dict[str, str | None] = {**self.user.environ, "NIGHTSAFE_DATA": str(self.safe.path)}
        line = [*words.split(), *(self.known.get(argument, argument) for argument in arguments)]
        return CliRunner().invoke(cli, line, input=answer, env=environ)

    def at_terminal(self) -> None:
        """Let commands see a terminal at which they can ask."""
        self.patch.setattr(confirm, "is_interactive", lambda: True)

    def state(self) -> Any:
        """Return everything that could be lost."""
        with self.user.wire as wire:
            deployed = wire.ask("GET", f"{SCRIPTS}/{self.user.script}/deployments").result
        with closing(sqlite3.connect(self.safe.database)) as db:
            tokens = db.execute("SELECT id, digest FROM tokens").fetchall()
            accounts = db.execute("SELECT id, mac FROM accounts").fetchall()
        return deployed, tokens, accounts, self.safe.private_ring.read_bytes()


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
    """Rotate the private ring and retire its old key; return that key's id."""
    ring = PrivateRing.load(safe.private_ring)
    old = ring.public().primary.id
    rotated = ring.rotated().retired(old)
    rotated.save(safe.private_ring, replace=True)
    rotated.public().save(safe.path / "keys" / "public-ring.json", replace=True)
    return old


def _token(database: Path) -> str:
    """Return the id of the safe's token."""
    with closing(sqlite3.connect(database)) as db:
        [(token_id,)] = db.execute("SELECT id FROM tokens").fetchall()
    return str(token_id)


@pytest.fixture
def in_process_user(user: UserEnvironment, safe: Safe, monkeypatch: pytest.MonkeyPatch) -> InProcessUser:
    """Return a user in this process with a script, a retired key and a token."""
    return InProcessUser(user, safe, monkeypatch)


@pytest.mark.parametrize(("words", "arguments", "question"), CASES, ids=IDS)
def test_a_destructive_command_needs_a_yes(
    in_process_user: InProcessUser, words: str, arguments: tuple[str, ...], question: str
) -> None:
    """Without a terminal a command needs `--yes` and exits with 2; the answer "n" changes nothing."""
    pattern = question.replace("SCRIPT", re.escape(in_process_user.user.script))
    before = in_process_user.state()

    alone = in_process_user.run(words, *arguments)
    assert (2, "") == (alone.exit_code, alone.stdout.partition("name")[0]), alone.output
    refused = rf"nightsafe: {pattern} There is no terminal to ask at, so nothing was done: give --yes .*\n"
    assert re.fullmatch(refused, alone.stderr.splitlines(keepends=True)[-1]), alone.stderr

    in_process_user.at_terminal()
    no = in_process_user.run(words, *arguments, answer="n\n")
    assert 1 == no.exit_code
    assert re.search(rf"{pattern} \[y/N\]", no.stderr), no.stderr
    assert before == in_process_user.state()

    yes = in_process_user.run(words, *arguments, "--yes", *(("--force",) if words == "rollback" else ()))
    assert (0, None) == (yes.exit_code, yes.exception and str(yes.exception)), yes.output
    assert before != in_process_user.state()


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
def test_a_harmless_change_asks_nothing(
    in_process_user: InProcessUser, words: str, arguments: tuple[str, ...]
) -> None:
    """A command that adds a secret, or replaces one by another of its kind, does not ask."""
    done = in_process_user.run(words, *arguments)
    assert (0, False) == (done.exit_code, "?" in done.stderr), done.output
