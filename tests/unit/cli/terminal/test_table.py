"""Tables: as wide as needed, but not wider than the terminal."""

import pytest

from nightsafe.cli.terminal.table import fit_to_width, format_table

HEAD = ("id", "author", "note")
ROWS = [["12345678", "somebody@example.com", "a long note " * 5], ["1", "-", "-"]]


def test_a_table_that_fits_is_not_cut() -> None:
    """Cells are cut only if necessary, and only in columns that may be cut."""
    whole = format_table(HEAD, ROWS)

    assert whole == format_table(HEAD, ROWS, fit=fit_to_width(200, (1, 2)))
    assert whole == format_table(HEAD, ROWS, fit=fit_to_width(20, ()))


@pytest.mark.parametrize("width", [80, 60, 40, 24])
def test_the_widest_column_is_cut_first(width: int) -> None:
    """Lines fill the width, cut cells end with an ellipsis, and the first column is whole."""
    lines = format_table(HEAD, ROWS, fit=fit_to_width(width, (1, 2))).splitlines()

    assert width == max(map(len, lines))
    assert lines[1].startswith("12345678  ")
    assert lines[1].endswith("\N{HORIZONTAL ELLIPSIS}")
    assert ("somebody@example.com" in lines[1]) is (width >= 60)


def test_a_narrow_table_keeps_some_of_each_column() -> None:
    """On a very narrow terminal a few characters of each cell stay, so that lines are too long rather than empty."""
    assert 8 + 2 + 6 + 2 + 6 == max(map(len, format_table(HEAD, ROWS, fit=fit_to_width(1, (1, 2))).splitlines()))
