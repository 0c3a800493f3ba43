"""Prints and saves the figures, each with its budget and whether it holds."""

import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.settings import CACHE, Settings


@dataclass(frozen=True, slots=True)
class Line:
    """One figure.

    Attributes:
        what: the name of the figure.
        unit: the unit; "x" for a ratio.
        values: one value for each round. The figure is their median. Empty when it could not be measured.
        at_most: the budget, if it is an upper bound.
        at_least: the budget, if it is a lower bound.
        note: more information, such as the reason why it was not measured.
    """

    what: str
    unit: str
    values: Sequence[float]
    at_most: float | None = None
    at_least: float | None = None
    note: str = ""

    @property
    def figure(self) -> float | None:
        """Return the median."""
        return statistics.median(self.values) if self.values else None

    @property
    def verdict(self) -> str:
        """Return `pass`, `FAIL`, `NOT MEASURED`, or `record` for a figure without a budget."""
        if self.figure is None:
            return "NOT MEASURED"
        if self.at_most is None and self.at_least is None:
            return "record"
        low_enough = self.at_most is None or self.figure <= self.at_most
        return "pass" if low_enough and (self.at_least is None or self.figure >= self.at_least) else "FAIL"

    def __str__(self) -> str:
        """Format the line for the terminal."""
        budget = f"<= {self.at_most:g}" if self.at_most is not None else ""
        budget = f">= {self.at_least:g}" if self.at_least is not None else budget
        figure = spread = ""
        if self.figure is not None:
            figure, spread = (
                f"{_short(self.figure)} {self.unit}",
                f"({_short(min(self.values))} - {_short(max(self.values))})",
            )
        return f"{self.what:58} {figure:>12} {spread:>19} {budget:>8}  {self.verdict}  {self.note}".rstrip()


@dataclass(slots=True)
class Report:
    """The results of one run.

    Attributes:
        settings: the settings of the run.
        machine: the machine that it ran on.
        lines: the figures.
        raw: the rounds behind the figures.
    """

    settings: Settings
    machine: dict[str, object]
    lines: list[Line] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)

    def title(self, text: str) -> None:
        """Print a heading."""
        print(f"\n{text}", flush=True)

    def add(self, line: Line) -> None:
        """Print a figure, and keep it."""
        self.lines.append(line)
        print(f"  {line}", flush=True)

    def save(self) -> Path:
        """Write the report as JSON."""
        CACHE.mkdir(parents=True, exist_ok=True)
        path = CACHE / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
        lines = [{**asdict(line), "figure": line.figure, "verdict": line.verdict} for line in self.lines]
        kept = {"settings": asdict(self.settings), "machine": self.machine, "figures": lines, "raw": self.raw}
        path.write_text(json.dumps(kept, indent=1))
        return path

    def exit_code(self) -> int:
        """Return 1 when a budget does not hold or was not measured, else 0. A smoke run always returns 0."""
        bad = any(line.verdict in {"FAIL", "NOT MEASURED"} for line in self.lines)
        return int(bad and not self.settings.quick)


def _short(figure: float) -> str:
    """Format a figure with three digits, or as a whole number."""
    return f"{figure:,.0f}" if abs(figure) >= 100 else f"{figure:.3g}"
