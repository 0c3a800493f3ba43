"""What is printed once is out before it counts: whatever becomes of standard output, nobody is left without it."""

import ast
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, TextIO

import pytest
from tests.clients.cli.tools.desk import Desk
from tests.clients.cli.tools.sources import CLI, commands_that_name, parsed
from tests.clients.wire.talk import SCRIPTS
from tests.server import NIGHTSAFE, Safe, clean_environ

import nightsafe.identity.credentials
from nightsafe.cli.main import cli
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.client import APIError
from nightsafe.errors import Code, NightsafeError
from nightsafe.services.identity import administration, operator

EXAMPLES = {
    "init": ("--data", "NEW"),
    "account create": ("--email", "new@example.com"),
    "user create": ("--email", "new@example.com", "--service-key"),
    "token create": ("--all-access",),
    "token roll": ("TOKEN", "--yes"),
    "secret key generate": ("KEY", "--algorithm", "Ed25519", "--no-fingerprint"),
}
"""An example of each command whose output is the only copy there is."""

TABLES = ("accounts", "users", "memberships", "tokens", "audit")
WORKERS = {module: parsed(Path(str(module.__file__))) for module in (administration, operator)}
MAKERS = {"new_token", "new_key", "new_service_key"}


def test_every_command_of_the_kind_is_here() -> None:
    """A command that prints what nobody can have again has its example above, and so all tests below."""
    assert EXAMPLES.keys() == commands_that_name("handing_over")


def functions(tree: ast.AST) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    """The functions of a module."""
    return {one.name: one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_what_makes_credentials_shows_them_first() -> None:
    """Each of the operator's use cases that makes one takes who shows it, and shows it before it commits."""
    assert MAKERS <= vars(nightsafe.identity.credentials).keys()
    makers = set()
    for module, tree in WORKERS.items():
        for name, function in functions(tree).items():
            named = [node for node in ast.walk(function) if isinstance(node, ast.Name)]
            if MAKERS & {node.id for node in named}:
                makers.add(name)
                [shown] = [node.lineno for node in named if node.id == "show"]
                [written] = [node.lineno for node in named if node.id == "_write"]
                assert shown < written, (module, name)
    assert {"create_account", "create_user", "issue_token", "roll_token"} == makers


def test_every_command_that_makes_credentials_shows_them_so() -> None:
    """Whoever calls one of these says who shows it; nothing here makes a credential by itself."""
    makers = {"create_account", "create_user", "issue_token", "roll_token"}
    silent = []
    for path in CLI.rglob("*.py"):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in MAKERS, path
                if node.func.id in makers and "show" not in {keyword.arg for keyword in node.keywords}:
                    silent.append(path.name)
    assert ["own_token.py"] == silent, "it keeps the token to itself, and revokes it"


@pytest.fixture
def full() -> Iterator[TextIO]:
    """A full disk."""
    stream = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115 - closing it fails
    yield stream
    _drop(stream)


@pytest.fixture
def unread() -> Iterator[TextIO]:
    """A pipe that nobody reads any more."""
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w", encoding="utf-8")
    yield stream
    _drop(stream)


@pytest.fixture
def closed() -> None:
    """None at all, as the interpreter has it when it was closed before its start."""


def _drop(stream: TextIO) -> None:
    """Close it, with what it could not write."""
    with suppress(OSError):
        stream.close()


def rows(database: Path) -> list[Any]:
    """All that makes a credential valid."""
    with closing(sqlite3.connect(database)) as db:
        return [db.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES]  # noqa: S608 - of ours


def versions(desk: Desk) -> int:
    """How many versions the script has."""
    with desk.wire as wire:
        return len(wire.ask("GET", f"{SCRIPTS}/{desk.script}/versions").result["items"])


@pytest.fixture
def attempt(safe: Safe, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Runs a command here that must be refused; gives the refusal."""
    for name, setting in (desk.environ | {"NIGHTSAFE_DATA": str(safe.path)}).items():
        monkeypatch.setenv(name, setting)
    [(token,)] = _query(safe.database, "SELECT id FROM tokens LIMIT 1")
    known = {"NEW": str(tmp_path / "new"), "TOKEN": token}

    def run(words: str) -> str:
        """The example of a command."""
        arguments = [*words.split(), *(known.get(part, part) for part in EXAMPLES[words])]
        with pytest.raises(NightsafeError) as caught:
            cli(arguments, standalone_mode=False)
        return caught.value.problems[0].detail

    return run


def _query(database: Path, sql: str) -> list[Any]:
    """Rows of a database."""
    with closing(sqlite3.connect(database)) as db:
        return db.execute(sql).fetchall()


@pytest.mark.parametrize("stdout", ["full", "unread", "closed"])
@pytest.mark.parametrize("words", EXAMPLES)
def test_what_cannot_be_printed_is_not_made(  # noqa: PLR0913, PLR0917 - fixtures
    words: str,
    stdout: str,
    attempt: Callable[[str], str],
    safe: Safe,
    desk: Desk,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing has changed then: no row, no version, no folder; and it is said."""
    before = rows(safe.database), versions(desk), sorted(tmp_path.iterdir())
    monkeypatch.setattr(sys, "stdout", request.getfixturevalue(stdout))

    told = attempt(words)

    assert re.search(r"cannot be printed \(.+\) and could not be shown again: nothing was changed", told)
    assert before == (rows(safe.database), versions(desk), sorted(tmp_path.iterdir()))


@pytest.mark.parametrize("redirection", ["> /dev/full", ">&-", ""])
def test_from_outside(safe: Safe, redirection: str) -> None:
    """A roll leaves the old token valid: on a full disk, with no standard output, and into a pipe nobody reads."""
    [(token,)] = _query(safe.database, "SELECT id FROM tokens LIMIT 1")
    before = rows(safe.database)
    reader, writer = os.pipe()
    os.close(reader)
    command = (*NIGHTSAFE, "token", "roll", token, "--yes", "--data", str(safe.path))
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {redirection}', "sh", *command],
        env=clean_environ(),
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)

    assert (1, 1) == (done.returncode, len(done.stderr.splitlines())), done.stderr
    assert done.stderr.startswith("nightsafe: the token cannot be printed (")
    assert before == rows(safe.database)


async def fail(*_: object, **__: object) -> None:
    """A database that takes nothing."""
    raise NightsafeError(Code.STORE, "no room")


def test_what_is_printed_and_cannot_be_stored(
    attempt: Callable[[str], str], safe: Safe, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said, too, that what was printed is good for nothing."""
    monkeypatch.setattr(operator, "_write", fail)
    before = rows(safe.database)

    assert "no room" == attempt("token roll")

    printed, said = capfd.readouterr()
    assert printed.startswith("nst_")
    assert "do not use the token printed above" in said
    assert before == rows(safe.database)


def test_a_token_that_cannot_be_kept_is_not_made(safe: Safe) -> None:
    """The file is written first; where that cannot be, nothing is stored."""
    (safe.path / "token").mkdir()
    before = rows(safe.database)
    with pytest.raises(NightsafeError, match="cannot be written"):
        cli(["token", "create", "--all-access", "--keep", "--data", str(safe.path)], standalone_mode=False)
    assert before == rows(safe.database)


def test_a_token_that_is_kept_stays_when_the_next_is_not_stored(safe: Safe, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file has the old one again."""
    create = ["token", "create", "--all-access", "--keep", "--data", str(safe.path)]
    cli(create, standalone_mode=False)
    before = (safe.path / "token").read_bytes(), rows(safe.database)

    monkeypatch.setattr(administration, "_write", fail)
    with pytest.raises(NightsafeError, match="no room"):
        cli(create, standalone_mode=False)

    assert before == ((safe.path / "token").read_bytes(), rows(safe.database))


@pytest.mark.usefixtures("attempt")
@pytest.mark.parametrize("kept", [None, "an older key"])
def test_a_public_half_in_a_file(desk: Desk, kept: str | None) -> None:
    """It gets its name with the key: when that is refused, the file is as it was. One that is there is asked for."""
    file = desk.cwd / "public.pem"
    if kept is not None:
        file.write_text(kept)
    arguments = ["secret", "key", "generate", "KEY", "--algorithm", "Ed25519", "--no-fingerprint"]
    arguments += ["--public-out", str(file)]
    if kept is not None:
        with pytest.raises(CommandError, match="give --yes"):
            cli(arguments, standalone_mode=False)
        arguments.append("--yes")
    with pytest.raises(APIError):
        cli([*arguments, "--script", "nothing"], standalone_mode=False)
    assert ({} if kept is None else {file: kept}) == {path: path.read_text() for path in desk.cwd.iterdir()}

    cli(arguments, standalone_mode=False)
    assert "BEGIN PUBLIC KEY" in file.read_text()
    assert [file] == [*desk.cwd.iterdir()]
