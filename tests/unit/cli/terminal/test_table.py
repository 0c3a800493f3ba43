"""Tables: as wide as they need to be, or as a terminal is."""

import pytest

from nightsafe.cli.terminal.table import fitting, table

HEAD = ("id", "author", "note")
ROWS = [["12345678", "somebody@example.com", "a long note " * 5], ["1", "-", "-"]]


def test_what_fits_is_left_alone() -> None:
    """Nothing is cut without need, and nothing that may not be."""
    whole = table(HEAD, ROWS)

    assert whole == table(HEAD, ROWS, fit=fitting(200, (1, 2)))
    assert whole == table(HEAD, ROWS, fit=fitting(20, ()))


@pytest.mark.parametrize("width", [80, 60, 40, 24])
def test_the_widest_is_cut_first(width: int) -> None:
    """Lines are as long as there is room, and what was cut says so; the first column is whole."""
    lines = table(HEAD, ROWS, fit=fitting(width, (1, 2))).splitlines()

    assert width == max(map(len, lines))
    assert lines[1].startswith("12345678  ")
    assert lines[1].endswith("\N{HORIZONTAL ELLIPSIS}")
    assert ("somebody@example.com" in lines[1]) is (width >= 60)


def test_a_little_of_each_is_left() -> None:
    """However narrow it is: lines are then too long, rather than empty."""
    assert 8 + 2 + 6 + 2 + 6 == max(map(len, table(HEAD, ROWS, fit=fitting(1, (1, 2))).splitlines()))
