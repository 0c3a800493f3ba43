"""Rows for people to read."""

from collections.abc import Callable, Sequence
from typing import Final

Paint = Callable[[str, int, Sequence[str]], str]
"""Colours a padded cell of a column of a row."""
Fit = Callable[[list[int]], list[int]]
"""Widths of columns from those that they would like to have."""

_GAP: Final = "  "
_LEAST: Final = 6


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], paint: Paint | None = None, fit: Fit | None = None
) -> str:
    """Columns under their names, each as wide as it needs to be; what a terminal would obey is shown as `?`."""
    every = [[_printable(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in every) for column in range(len(head))]
    if fit is not None:
        widths = fit(widths)
    return "\n".join(_line(row, widths, paint if number else None) for number, row in enumerate(every))


def fitting(width: int, elastic: Sequence[int]) -> Fit:
    """Make lines fit into a width, by cutting the widest of the columns that may be cut, as far as that helps."""

    def fit(widths: list[int]) -> list[int]:
        """One letter after another."""
        widths = list(widths)
        while sum(widths) + len(_GAP) * (len(widths) - 1) > width:
            widest = max(elastic, key=lambda column: widths[column], default=None)
            if widest is None or widths[widest] <= _LEAST:
                break
            widths[widest] -= 1
        return widths

    return fit


def _line(row: Sequence[str], widths: Sequence[int], paint: Paint | None) -> str:
    """One row."""
    padded = list(map(_padded, row, widths))
    padded[-1] = padded[-1].rstrip()
    if paint is None:
        return _GAP.join(padded).rstrip()
    return _GAP.join(paint(cell, column, row) for column, cell in enumerate(padded)).rstrip()


def _padded(cell: str, width: int) -> str:
    """A cell of just this width."""
    return cell.ljust(width) if len(cell) <= width else f"{cell[: width - 1]}\N{HORIZONTAL ELLIPSIS}"


def _printable(text: str) -> str:
    """A text that stays on its line."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
