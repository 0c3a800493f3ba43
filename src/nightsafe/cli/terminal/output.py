"""Prints results: a table for people, JSON for programs."""

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, Final, NamedTuple

import click

from nightsafe.cli.terminal.table import fit_to_width, format_table
from nightsafe.errors import AGAIN

_COLOURS = {
    "new": "green",
    "changed": "yellow",
    "unknown": "yellow",
    "extra": "red",
    "ok": "green",
    "warning": "yellow",
    "failed": "red",
}
_WIDTH: Final = 80
JSON_WANTED: Final = ContextVar("JSON_WANTED", default=False)
"""Whether results and refusals are printed as JSON."""


class Problem(NamedTuple):
    """One problem of a refusal.

    Attributes:
        message: the message, without a secret's value.
        code: the API's error code, or None if this program refuses.
        pointer: a JSON Pointer to the problem in the request, or None.
        advice: the solution, or None if the message contains it.
    """

    message: str
    code: int | None = None
    pointer: str | None = None
    advice: str | None = None

    @property
    def line(self) -> str:
        """The problem in one line."""
        before = "" if self.code is None else f"[{self.code}] "
        at = f" at {self.pointer}" if self.pointer and self.code is not None else ""
        return f"{before}{self.message}{at}{f'; {self.advice}' if self.advice else ''}"


def in_words_of_commands(message: str) -> str:
    """Return a message of the store or of a server as it is meant at a terminal."""
    return message.replace(AGAIN, "run the command again")


def print_problems(problems: Sequence[Problem]) -> None:
    """Print a line to stderr for each problem."""
    for problem in problems:
        say(f"nightsafe: {problem.line}")


def show_json(value: object) -> None:
    """Print one JSON object."""
    click.echo(json.dumps(value, ensure_ascii=False, default=str))


def show_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, coloured: int | None = None, elastic: Sequence[int] = ()
) -> None:
    """Print a table.

    Args:
        head: names of the columns.
        rows: cells of each row.
        coloured: index of the column with coloured words, on a terminal; None for no colours.
        elastic: indexes of columns that may be cut to fit the terminal's width, or 80 characters without a terminal.
    """
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDTH
    click.echo(
        format_table(head, rows, None if coloured is None else _painter(coloured), fit_to_width(width, elastic))
    )


def say(line: str) -> None:
    """Print a line to stderr, apart from the result."""
    click.echo(line, err=True)


def notify(line: str) -> None:
    """Print a line to stderr about something that this program does or refuses on its own."""
    say(f"nightsafe: {line}")


def show_fields(fields: dict[str, Any]) -> None:
    """Print names with their contents, one per line. Leave out empty ones."""
    rows = [[name, shown] for name, shown in fields.items() if shown not in (None, "", [])]
    click.echo(format_table(rows[0], rows[1:]))


def _painter(coloured: int) -> Callable[[str, int, Sequence[str]], str]:
    """Return a function that colours one column."""

    def paint(cell: str, column: int, row: Sequence[str]) -> str:
        return click.style(cell, fg=_COLOURS.get(row[coloured])) if column == coloured else cell

    return paint
