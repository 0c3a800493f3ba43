"""How the command line ends when nothing was asked of any server: words for people, JSON for programs, a guess."""

import json
import sys
from typing import Any

import click
import pytest

from nightsafe.cli.main import main
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.cli.terminal.failing import end_refused
from nightsafe.cli.terminal.output import JSON_WANTED
from nightsafe.cli.token.policies import Scopes, need_limits


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command line; gives exit code, standard output and standard error."""

    def run(*arguments: str) -> tuple[object, str, str]:
        """One command."""
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
def test_one_object_on_stdout(ended: Any, arguments: tuple[str, ...], code: int, kind: str) -> None:
    """With --json it is the refusal, and people are told the same; without it, stdout is empty."""
    ended_with, out, err = ended(*arguments, "--json")
    told = json.loads(out)["error"]

    assert (code, kind, code) == (ended_with, told["kind"], told["exit_code"])
    assert [{"message", "code", "pointer", "advice"}] == [set(one) for one in told["problems"]]
    assert told["message"] in err
    assert (code, "") == ended(*arguments)[:2]


def test_a_no_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Who is asked and says no, or interrupts, ends it with 1."""
    wanted = JSON_WANTED.set(True)
    try:
        codes = [end_refused(error) for error in (click.Abort(), KeyboardInterrupt())]
    finally:
        JSON_WANTED.reset(wanted)

    assert [1, 1] == codes
    assert 2 == capsys.readouterr().out.count('"kind": "failed"')


@pytest.mark.parametrize(
    ("words", "meant"),
    [(("secert",), "'secret'"), (("secret", "lst"), "'list'"), (("token", "creat"), "'create'")],
)
def test_did_you_mean(ended: Any, words: tuple[str, ...], meant: str) -> None:
    """Of commands, and of commands of a command, the likest is named."""
    code, _, err = ended(*words)

    assert 2 == code
    assert f"did you mean {meant}" in err.replace("Did", "did")
    assert "did you" not in ended("zzzzzzzz")[2].lower()


def test_what_is_a_limit() -> None:
    """Of what a token may do, not of where or until when; `--all-access` says that none is wanted."""
    for scopes in (
        Scopes(permissions=["x"]),
        Scopes(scripts=["x"]),
        Scopes(denied_permissions=["x"]),
        Scopes(denied_scripts=["x"]),
    ):
        need_limits(scopes, all_access=False)
    need_limits(Scopes(), all_access=True)

    with pytest.raises(CommandError, match="--all-access for such a token"):
        need_limits(Scopes(), all_access=False)
    with pytest.raises(click.UsageError, match="contradict"):
        need_limits(Scopes(permissions=["x"]), all_access=True)
