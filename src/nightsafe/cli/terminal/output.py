"""How results are shown: a table for people, JSON for programs."""

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, Final, NamedTuple

import click

from nightsafe.cli.terminal.table import fitting, table

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
"""Whether what comes out is for a program, a refusal included."""


class Wrong(NamedTuple):
    """One thing that is wrong.

    Attributes:
        message: in words, without a value.
        code: the API's number, where it is the API that refuses.
        pointer: a JSON Pointer to what is wrong in what was sent, where there is one.
        advice: the way out, where it is not among the words.
    """

    message: str
    code: int | None = None
    pointer: str | None = None
    advice: str | None = None

    @property
    def line(self) -> str:
        """All of it in one line."""
        before = "" if self.code is None else f"[{self.code}] "
        at = f" at {self.pointer}" if self.pointer and self.code is not None else ""
        return f"{before}{self.message}{at}{f'; {self.advice}' if self.advice else ''}"


def say_wrong(wrong: Sequence[Wrong]) -> None:
    """A line on stderr for each thing that is wrong."""
    for one in wrong:
        say(f"nightsafe: {one.line}")


def show_json(value: object) -> None:
    """One JSON object."""
    click.echo(json.dumps(value, ensure_ascii=False, default=str))


def show_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, coloured: int | None = None, elastic: Sequence[int] = ()
) -> None:
    """A table.

    Args:
        head: names of the columns.
        rows: their cells.
        coloured: the column whose words have colours, where this is a terminal.
        elastic: columns that may be cut where the lines would be longer than the terminal, or than 80 letters.
    """
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDTH
    click.echo(table(head, rows, None if coloured is None else _painter(coloured), fitting(width, elastic)))


def say(line: str) -> None:
    """Something beside the result, on stderr."""
    click.echo(line, err=True)


def tell(line: str) -> None:
    """Something that this program did or refuses by itself, on stderr."""
    say(f"nightsafe: {line}")


def fields_table(fields: dict[str, Any]) -> None:
    """Names and what they are, each on a line of its own; what is not there is left out."""
    rows = [[name, shown] for name, shown in fields.items() if shown not in (None, "", [])]
    click.echo(table(rows[0], rows[1:]))


def _painter(coloured: int) -> Callable[[str, int, Sequence[str]], str]:
    """Colours one column."""

    def paint(cell: str, column: int, row: Sequence[str]) -> str:
        return click.style(cell, fg=_COLOURS.get(row[coloured])) if column == coloured else cell

    return paint
