"""Compatibility dates at which the pinned runtime turns a flag on, by itself or with `nodejs_compat`."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from nightsafe.bundle.runtime_flags import NEWEST_DATE

TURNS: Final = tuple(Path(__file__).with_name("dates.txt").read_text(encoding="ascii").split())
"""The dates in ascending order. `test_dates.py` checks them against the binary."""

FIRST: Final = "2021-11-02"


def day_before(date: str) -> str:
    """Return the day before a date."""
    return (dt.date.fromisoformat(date) - dt.timedelta(days=1)).isoformat()


def around_turns() -> Iterator[str]:
    """Yield the first and the newest date, each of `TURNS`, and the day before each."""
    yield from sorted({FIRST, NEWEST_DATE, *TURNS, *map(day_before, TURNS)})
