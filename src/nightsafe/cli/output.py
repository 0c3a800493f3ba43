"""How results are shown: a table for people, JSON for programs."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import click

from nightsafe.cli.table import table

_COLOURS = {
    "new": "green",
    "changed": "yellow",
    "unknown": "yellow",
    "extra": "red",
    "ok": "green",
    "warning": "yellow",
    "failed": "red",
}


def show_json(value: object) -> None:
    """One JSON object."""
    click.echo(json.dumps(value, ensure_ascii=False, default=str))


def show_table(head: Sequence[str], rows: Sequence[Sequence[str]], *, coloured: int | None = None) -> None:
    """A table; the words of the column `coloured` in their colours, where this is a terminal."""
    click.echo(table(head, rows, None if coloured is None else _painter(coloured)))


def say(line: str) -> None:
    """Something beside the result, on stderr."""
    click.echo(line, err=True)


def fields_table(fields: dict[str, Any]) -> None:
    """Names and what they are, each on a line of its own; what is not there is left out."""
    rows = [[name, shown] for name, shown in fields.items() if shown not in (None, "", [])]
    click.echo(table(rows[0], rows[1:]))


def _painter(coloured: int) -> Callable[[str, int, Sequence[str]], str]:
    """Colours one column."""

    def paint(cell: str, column: int, row: Sequence[str]) -> str:
        return click.style(cell, fg=_COLOURS.get(row[coloured])) if column == coloured else cell

    return paint
