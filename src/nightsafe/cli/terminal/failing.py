"""Ends a refused command: with lines on stderr, an exit code and, with `--json`, one object on stdout.

With `--json`, stdout therefore always has one object: the result, or `{"error": …}`.
"""

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import click

from nightsafe.cli.lazy import missing
from nightsafe.cli.terminal.os_errors import sentence
from nightsafe.cli.terminal.output import JSON_WANTED, Wrong, say, say_wrong, show_json
from nightsafe.errors import NightsafeError

if TYPE_CHECKING:
    from nightsafe.client import APIError

_FAILED: Final = 1
_KINDS: Final = {1: "failed", 2: "usage", 3: "not_permitted", 4: "not_found", 5: "refused", 6: "unavailable"}
"""The kinds of refusal, by exit code."""


def refusals() -> tuple[type[BaseException], ...]:
    """Return the exceptions that stand for a refusal. Those of the client are included only if it is loaded."""
    ours = (NightsafeError, OSError, ModuleNotFoundError, click.ClickException, click.Abort, KeyboardInterrupt)
    errors = sys.modules.get("nightsafe.client.errors")
    return ours if errors is None else (*ours, errors.APIError)


def end_refused(error: BaseException) -> int:
    """Print why a command ends. Return the exit code."""
    code, wrong = _told(error)
    if JSON_WANTED.get():
        problems = [one._asdict() for one in wrong]
        message = "; ".join(one.message for one in wrong)
        with suppress(OSError):  # the process must still set its exit code
            show_json({"error": {"kind": _KINDS[code], "exit_code": code, "message": message, "problems": problems}})
    return code


def _told(error: BaseException) -> tuple[int, list[Wrong]]:
    """Print a refusal to stderr. Return the exit code and the problems."""
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code, [Wrong(error.format_message())]
    if isinstance(error, click.Abort | KeyboardInterrupt):
        say("Aborted!")
        return _FAILED, [Wrong("the command was interrupted or not confirmed")]
    code, wrong = _FAILED, []
    if isinstance(error, NightsafeError):
        wrong = [Wrong(one.detail or str(one.code), pointer=one.pointer) for one in error.problems]
    elif isinstance(error, OSError):
        wrong = [Wrong(sentence(error))]
    elif isinstance(
        error, ModuleNotFoundError
    ):  # from a command that loads libraries when it runs: all of these serve
        wrong = [Wrong(missing(error, "server"))]
    else:
        code, wrong = _of_client(error)  # type: ignore[arg-type]  # `refusals` names no others
    say_wrong(wrong)
    return code, wrong


def _of_client(error: "APIError") -> tuple[int, list[Wrong]]:
    """Return the exit code and the problems of a client's error."""
    from nightsafe.cli.terminal.errors import exit_code_of, wrong_of  # noqa: PLC0415 - only if the client is loaded

    return exit_code_of(error), wrong_of(error)
