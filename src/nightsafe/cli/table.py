"""Rows for people to read."""

from collections.abc import Callable, Sequence

Paint = Callable[[str, int, Sequence[str]], str]
"""Colours a padded cell of a column of a row."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]], paint: Paint | None = None) -> str:
    """Columns under their names, each as wide as it needs to be; what a terminal would obey is shown as `?`."""
    every = [[_printable(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in every) for column in range(len(head))]
    return "\n".join(_line(row, widths, paint if number else None) for number, row in enumerate(every))


def _line(row: Sequence[str], widths: Sequence[int], paint: Paint | None) -> str:
    """One row."""
    padded = list(map(str.ljust, row, widths))
    padded[-1] = padded[-1].rstrip()
    if paint is None:
        return "  ".join(padded).rstrip()
    return "  ".join(paint(cell, column, row) for column, cell in enumerate(padded)).rstrip()


def _printable(text: str) -> str:
    """A text that stays on its line."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
