"""Formats tables for people."""

from collections.abc import Callable, Sequence
from typing import Final

Paint = Callable[[str, int, Sequence[str]], str]
"""A function of a padded cell, its column and its row, which returns the cell with colours."""
Fit = Callable[[list[int]], list[int]]
"""A function that maps the desired widths of columns to their actual widths."""

_GAP: Final = "  "
_MIN_WIDTH: Final = 6


def format_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], paint: Paint | None = None, fit: Fit | None = None
) -> str:
    """Format a table. Columns are as wide as needed, and control characters become `?`."""
    lines = [[_printable(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in lines) for column in range(len(head))]
    if fit is not None:
        widths = fit(widths)
    return "\n".join(_format_row(row, widths, paint if number else None) for number, row in enumerate(lines))


def fit_to_width(width: int, elastic: Sequence[int]) -> Fit:
    """Return a function that fits lines to a width, by cutting the widest of the elastic columns."""

    def fit(widths: list[int]) -> list[int]:
        """Narrow the widest elastic column by one character at a time."""
        widths = list(widths)
        while sum(widths) + len(_GAP) * (len(widths) - 1) > width:
            widest = max(elastic, key=lambda column: widths[column], default=None)
            if widest is None or widths[widest] <= _MIN_WIDTH:
                break
            widths[widest] -= 1
        return widths

    return fit


def _format_row(row: Sequence[str], widths: Sequence[int], paint: Paint | None) -> str:
    """Format one row."""
    padded = list(map(_fit_cell, row, widths))
    padded[-1] = padded[-1].rstrip()
    if paint is None:
        return _GAP.join(padded).rstrip()
    return _GAP.join(paint(cell, column, row) for column, cell in enumerate(padded)).rstrip()


def _fit_cell(cell: str, width: int) -> str:
    """Pad or cut a cell to a width."""
    return cell.ljust(width) if len(cell) <= width else f"{cell[: width - 1]}\N{HORIZONTAL ELLIPSIS}"


def _printable(text: str) -> str:
    """Replace unprintable characters by `?`, so that the text stays on its line."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
