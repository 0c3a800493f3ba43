"""Failures of the command line before any request: the message, the JSON object, and suggestions."""

import json
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import pytest

import nightsafe
from nightsafe.cli.main import main
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.cli.terminal.output import JSON_WANTED
from nightsafe.cli.terminal.refusals import report_refusal
from nightsafe.cli.token.policies import Scopes, confirm_unlimited
from nightsafe.client.errors import APIError
from nightsafe.client.messages import Origin, Request
from nightsafe.errors import AGAIN, Code, NightsafeError


@pytest.fixture
def run_cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a function that runs the command line and returns exit code, standard output and standard error."""

    def run(*arguments: str) -> tuple[object, str, str]:
        """Run one command."""
        monkeypatch.setattr(sys, "argv", ["nightsafe", *arguments])
        with pytest.raises(SystemExit) as exited:
            main()
        return exited.value.code, *capsys.readouterr()

    return run


@pytest.mark.parametrize(
    ("arguments", "code", "kind"),
    [
        (("nonsense",), 2, "usage"),
        (("secret", "list", "--account", "nonsense"), 2, "usage"),
        (("secret", "put"), 2, "usage"),
        (("token", "list", "--data", "nowhere"), 1, "failed"),
        (("token", "create", "--data", "nowhere"), 2, "usage"),
        (("token", "list", "--data", ""), 2, "usage"),
        (("secret", "list", "--script", "x", "--data", "nowhere"), 1, "failed"),
        (("secret", "list", "--url", "https://host.invalid", "--script", "x"), 3, "not_permitted"),
        (("--config", "nowhere", "whoami"), 1, "failed"),
    ],
)
def test_json_refusals_are_one_object_on_stdout(
    run_cli: Any, arguments: tuple[str, ...], code: int, kind: str
) -> None:
    """With --json stdout has the refusal as one object and stderr the same message; without it stdout is empty."""
    ended_with, out, err = run_cli(*arguments, "--json")
    told = json.loads(out)["error"]

    assert (code, kind, code) == (ended_with, told["kind"], told["exit_code"])
    assert [{"message", "code", "pointer", "advice"}] == [set(problem) for problem in told["problems"]]
    assert told["message"] in err
    assert (code, "") == run_cli(*arguments)[:2]


def test_a_declined_prompt_ends_with_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    """A declined prompt and an interrupt end the command with exit code 1."""
    wanted = JSON_WANTED.set(True)
    try:
        codes = [report_refusal(error) for error in (click.Abort(), KeyboardInterrupt())]
    finally:
        JSON_WANTED.reset(wanted)

    assert [1, 1] == codes
    assert 2 == capsys.readouterr().out.count('"kind": "failed"')


def server_error(message: str) -> APIError:
    """Return the client's error for a server's answer."""
    request = Request("GET", Origin("http", "127.0.0.1", None), b"/", ())
    return APIError("", request, body={"errors": [{"code": 10708, "message": message}]})


@pytest.mark.parametrize(
    "error",
    [partial(NightsafeError, Code.NO_PRIMARY), CommandError, server_error],
    ids=["here", "of a command", "of a server"],
)
def test_a_person_reads_to_run_the_command_again(
    error: Callable[[str], BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the API tells its client to send the request again, a command tells a person to run the command again."""
    wanted = JSON_WANTED.set(True)
    try:
        report_refusal(error(f"the database is gone: {AGAIN}"))
    finally:
        JSON_WANTED.reset(wanted)

    for shown in capsys.readouterr():
        assert "the database is gone: run the command again" in shown
        assert AGAIN not in shown


def test_every_message_has_the_words_that_commands_replace() -> None:
    """No message spells "send the request again" by itself, so that commands find each."""
    folder = Path(nightsafe.__file__).parent
    again = re.compile(r'(: |; |then |before you )send the (same )?("\s+f?")?request\s+("\s+f?")?again')
    own = [path.name for path in folder.rglob("*.py") if again.search(path.read_text())]

    assert [] == own


@pytest.mark.parametrize(
    ("words", "meant"),
    [(("secert",), "'secret'"), (("secret", "lst"), "'list'"), (("token", "creat"), "'create'")],
)
def test_the_most_similar_command_is_suggested(run_cli: Any, words: tuple[str, ...], meant: str) -> None:
    """The most similar command or subcommand is suggested."""
    code, _, err = run_cli(*words)

    assert 2 == code
    assert f"did you mean {meant}" in err.replace("Did", "did")
    assert "did you" not in run_cli("zzzzzzzz")[2].lower()


def test_a_token_needs_a_limit_or_all_access() -> None:
    """A token needs a limit of permissions or scripts, or `--all-access`."""
    for scopes in (
        Scopes(permissions=["x"]),
        Scopes(scripts=["x"]),
        Scopes(denied_permissions=["x"]),
        Scopes(denied_scripts=["x"]),
    ):
        confirm_unlimited(scopes, all_access=False)
    confirm_unlimited(Scopes(), all_access=True)

    with pytest.raises(CommandError, match="--all-access for such a token"):
        confirm_unlimited(Scopes(), all_access=False)
    with pytest.raises(click.UsageError, match="contradict"):
        confirm_unlimited(Scopes(permissions=["x"]), all_access=True)
