"""Rows for people to read."""

from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns under their names, each as wide as it needs to be; what a terminal would obey is shown as `?`."""
    every = [[_printable(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in every) for column in range(len(head))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in every)


def _printable(text: str) -> str:
    """A text that stays on its line."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
