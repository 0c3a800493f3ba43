"""Failures of the command line before any request: the message, the JSON object, and suggestions."""

import json
import sys
from typing import Any

import click
import pytest

from nightsafe.cli.main import main
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.cli.terminal.output import JSON_WANTED
from nightsafe.cli.terminal.refusals import report_refusal
from nightsafe.cli.token.policies import Scopes, confirm_unlimited


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
