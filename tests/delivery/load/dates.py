"""Compatibility dates at which the pinned runtime turns a flag on, by itself or with `nodejs_compat`."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from nightsafe.bundle.runtime_flags import NEWEST_DATE

TURNS: Final = tuple(Path(__file__).with_name("dates.txt").read_text(encoding="ascii").split())
"""In order. `test_dates.py` holds them against the binary."""

FIRST: Final = "2021-11-02"


def day_before(date: str) -> str:
    """The day before a date."""
    return (dt.date.fromisoformat(date) - dt.timedelta(days=1)).isoformat()


def around_turns() -> Iterator[str]:
    """Each of them with the day before it, and the newest date."""
    yield from sorted({FIRST, NEWEST_DATE, *TURNS, *map(day_before, TURNS)})
