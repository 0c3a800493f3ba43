"""Ends a refused command: with lines on stderr, an exit code and, with `--json`, one object on stdout.

With `--json`, stdout therefore always has one object: the result, or `{"error": …}`.
"""

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import click

from nightsafe.cli.lazy import missing_library_message
from nightsafe.cli.terminal.os_errors import describe_os_error
from nightsafe.cli.terminal.output import JSON_WANTED, Problem, in_words_of_commands, print_problems, say, show_json
from nightsafe.errors import NightsafeError

if TYPE_CHECKING:
    from nightsafe.client import APIError

_FAILED: Final = 1
_KINDS: Final = {1: "failed", 2: "usage", 3: "not_permitted", 4: "not_found", 5: "refused", 6: "unavailable"}
"""The kinds of refusal, by exit code."""


def refusal_types() -> tuple[type[BaseException], ...]:
    """Return the exceptions that stand for a refusal. Those of the client are included only if it is loaded."""
    own_types = (NightsafeError, OSError, ModuleNotFoundError, click.ClickException, click.Abort, KeyboardInterrupt)
    errors = sys.modules.get("nightsafe.client.errors")
    return own_types if errors is None else (*own_types, errors.APIError)


def report_refusal(error: BaseException) -> int:
    """Print why a command ends. Return the exit code."""
    code, problems = _print_refusal(error)
    if JSON_WANTED.get():
        listed = [problem._asdict() for problem in problems]
        message = "; ".join(problem.message for problem in problems)
        with suppress(OSError):  # the process must still set its exit code
            show_json({"error": {"kind": _KINDS[code], "exit_code": code, "message": message, "problems": listed}})
    return code


def _print_refusal(error: BaseException) -> tuple[int, list[Problem]]:
    """Print a refusal to stderr. Return the exit code and the problems."""
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code, [Problem(error.format_message())]
    if isinstance(error, click.Abort | KeyboardInterrupt):
        say("Aborted!")
        return _FAILED, [Problem("the command was interrupted or not confirmed")]
    code, problems = _FAILED, []
    if isinstance(error, NightsafeError):
        problems = [
            Problem(problem.detail or str(problem.code), pointer=problem.pointer) for problem in error.problems
        ]
    elif isinstance(error, OSError):
        problems = [Problem(describe_os_error(error))]
    elif isinstance(
        error, ModuleNotFoundError
    ):  # from a command that loads libraries when it runs: all of these serve
        problems = [Problem(missing_library_message(error, "server"))]
    else:
        code, problems = _client_problems(error)  # type: ignore[arg-type]  # `refusal_types` names no others
    problems = [problem._replace(message=in_words_of_commands(problem.message)) for problem in problems]
    print_problems(problems)
    return code, problems


def _client_problems(error: "APIError") -> tuple[int, list[Problem]]:
    """Return the exit code and the problems of a client's error."""
    from nightsafe.cli.terminal.errors import exit_code_of, problems_of  # only if the client is loaded

    return exit_code_of(error), problems_of(error)
