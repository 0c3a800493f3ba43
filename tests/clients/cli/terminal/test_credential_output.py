"""Credentials that are printed once: they are printed before they become valid, however standard output fails."""

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
from tests.clients.cli.tools.sources import CLI, commands_that_name, parsed
from tests.clients.cli.tools.user_environment import UserEnvironment
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
"""An example of each command whose output is the only copy of a credential."""

TABLES = ("accounts", "users", "memberships", "tokens", "audit")
MODULES = {module: parsed(Path(str(module.__file__))) for module in (administration, operator)}
MAKERS = {"new_token", "new_key", "new_service_key"}


def test_every_command_that_prints_a_credential_has_an_example() -> None:
    """Each command that prints the only copy of a credential has an example above, so all tests below cover it."""
    assert EXAMPLES.keys() == commands_that_name("print_before_storing")


def functions(tree: ast.AST) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return the functions of a module."""
    return {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_credentials_are_shown_before_they_are_stored() -> None:
    """Each administration function that makes a credential takes a `show` callback and calls it before it commits."""
    assert MAKERS <= vars(nightsafe.identity.credentials).keys()
    makers = set()
    for module, tree in MODULES.items():
        for name, function in functions(tree).items():
            named = [node for node in ast.walk(function) if isinstance(node, ast.Name)]
            if MAKERS & {node.id for node in named}:
                makers.add(name)
                [shown] = [node.lineno for node in named if node.id == "show"]
                [written] = [node.lineno for node in named if node.id == "_write"]
                assert shown < written, (module, name)
    assert {"create_account", "create_user", "issue_token", "roll_token"} == makers


def test_every_command_passes_show_when_it_makes_credentials() -> None:
    """Each caller of these functions passes `show`; no command makes a credential itself."""
    makers = {"create_account", "create_user", "issue_token", "roll_token"}
    silent = []
    for path in CLI.rglob("*.py"):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in MAKERS, path
                if node.func.id in makers and "show" not in {keyword.arg for keyword in node.keywords}:
                    silent.append(path.name)
    assert ["own_token.py"] == silent, "only this module may: it does not print the token, and revokes it"


@pytest.fixture
def full_disk() -> Iterator[TextIO]:
    """Yield an output stream on a full disk."""
    stream = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115 - closing it fails
    yield stream
    _discard(stream)


@pytest.fixture
def broken_pipe() -> Iterator[TextIO]:
    """Yield the writing end of a pipe without a reader."""
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w", encoding="utf-8")
    yield stream
    _discard(stream)


@pytest.fixture
def closed_stdout() -> None:
    """Return None, which `sys.stdout` is when the interpreter starts without standard output."""


def _discard(stream: TextIO) -> None:
    """Close a stream and discard the text that it could not write."""
    with suppress(OSError):
        stream.close()


def credential_rows(database: Path) -> list[Any]:
    """Return all database rows that make credentials valid."""
    with closing(sqlite3.connect(database)) as db:
        return [db.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES]  # noqa: S608 - our own names


def versions(user: UserEnvironment) -> int:
    """Return the number of versions of the script."""
    with user.wire as wire:
        return len(wire.ask("GET", f"{SCRIPTS}/{user.script}/versions").result["items"])


@pytest.fixture
def refusal_of(
    safe: Safe, user: UserEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], str]:
    """Return a function that runs a command that must be refused and returns its message."""
    for name, setting in (user.environ | {"NIGHTSAFE_DATA": str(safe.path)}).items():
        monkeypatch.setenv(name, setting)
    [(token_id,)] = _query(safe.database, "SELECT id FROM tokens LIMIT 1")
    known = {"NEW": str(tmp_path / "new"), "TOKEN": token_id}

    def run(words: str) -> str:
        """Run the example of a command."""
        arguments = [*words.split(), *(known.get(part, part) for part in EXAMPLES[words])]
        with pytest.raises(NightsafeError) as caught:
            cli(arguments, standalone_mode=False)
        return caught.value.problems[0].detail

    return run


def _query(database: Path, sql: str) -> list[Any]:
    """Return the rows that a query finds."""
    with closing(sqlite3.connect(database)) as db:
        return db.execute(sql).fetchall()


@pytest.mark.parametrize("stdout", ["full_disk", "broken_pipe", "closed_stdout"])
@pytest.mark.parametrize("words", EXAMPLES)
def test_a_credential_that_cannot_be_printed_is_not_made(  # noqa: PLR0913, PLR0917 - fixtures
    words: str,
    stdout: str,
    refusal_of: Callable[[str], str],
    safe: Safe,
    user: UserEnvironment,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The command says so and changes nothing: no row, no version, no folder."""
    before = credential_rows(safe.database), versions(user), sorted(tmp_path.iterdir())
    monkeypatch.setattr(sys, "stdout", request.getfixturevalue(stdout))

    told = refusal_of(words)

    assert re.search(r"cannot be printed \(.+\) and could not be shown again: nothing was changed", told)
    assert before == (credential_rows(safe.database), versions(user), sorted(tmp_path.iterdir()))


@pytest.mark.parametrize("redirection", ["> /dev/full", ">&-", ""])
def test_a_roll_that_cannot_be_printed_changes_nothing(safe: Safe, redirection: str) -> None:
    """The old token stays valid with a full disk, a closed standard output or a broken pipe."""
    [(token,)] = _query(safe.database, "SELECT id FROM tokens LIMIT 1")
    before = credential_rows(safe.database)
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
    assert before == credential_rows(safe.database)


async def fail(*_: object, **__: object) -> None:
    """Fail as a full database does."""
    raise NightsafeError(Code.STORE, "no room")


def test_a_printed_token_that_is_not_stored_is_called_unusable(
    refusal_of: Callable[[str], str], safe: Safe, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command also warns that the printed token must not be used."""
    monkeypatch.setattr(operator, "_write", fail)
    before = credential_rows(safe.database)

    assert "no room" == refusal_of("token roll")

    printed, said = capfd.readouterr()
    assert printed.startswith("nst_")
    assert "do not use the token printed above" in said
    assert before == credential_rows(safe.database)


def test_a_token_whose_file_cannot_be_written_is_not_made(safe: Safe) -> None:
    """`token create --keep` writes the file first; when that fails, no token is stored."""
    (safe.path / "token").mkdir()
    before = credential_rows(safe.database)
    with pytest.raises(NightsafeError, match="cannot be written"):
        cli(["token", "create", "--all-access", "--keep", "--data", str(safe.path)], standalone_mode=False)
    assert before == credential_rows(safe.database)


def test_the_token_file_is_restored_if_the_next_is_not_stored(safe: Safe, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file contains the previous token again."""
    create = ["token", "create", "--all-access", "--keep", "--data", str(safe.path)]
    cli(create, standalone_mode=False)
    before = (safe.path / "token").read_bytes(), credential_rows(safe.database)

    monkeypatch.setattr(administration, "_write", fail)
    with pytest.raises(NightsafeError, match="no room"):
        cli(create, standalone_mode=False)

    assert before == ((safe.path / "token").read_bytes(), credential_rows(safe.database))


@pytest.mark.usefixtures("refusal_of")
@pytest.mark.parametrize("kept", [None, "an older key"])
def test_public_out_replaces_a_file_only_with_the_key(user: UserEnvironment, kept: str | None) -> None:
    """A refused key leaves the file of its public half as it was; an existing file is replaced only with `--yes`."""
    file = user.cwd / "public.pem"
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
    assert ({} if kept is None else {file: kept}) == {path: path.read_text() for path in user.cwd.iterdir()}

    cli(arguments, standalone_mode=False)
    assert "BEGIN PUBLIC KEY" in file.read_text()
    assert [file] == [*user.cwd.iterdir()]
