"""What is printed and kept: each figure as a ratio or a bound, with its budget and whether it holds."""

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
        what: what was measured.
        unit: of the figure; "x" for a ratio.
        values: one for each round; the figure is their median. Empty when it could not be measured.
        at_most: the budget, if it is an upper bound.
        at_least: the budget, if it is a lower bound.
        note: what else to know, such as why it was not measured.
    """

    what: str
    unit: str
    values: Sequence[float]
    at_most: float | None = None
    at_least: float | None = None
    note: str = ""

    @property
    def figure(self) -> float | None:
        """The median."""
        return statistics.median(self.values) if self.values else None

    @property
    def verdict(self) -> str:
        """`pass`, `FAIL`, `NOT MEASURED`, or `record` for a figure without a budget."""
        if self.figure is None:
            return "NOT MEASURED"
        if self.at_most is None and self.at_least is None:
            return "record"
        low_enough = self.at_most is None or self.figure <= self.at_most
        return "pass" if low_enough and (self.at_least is None or self.figure >= self.at_least) else "FAIL"

    def __str__(self) -> str:
        """For the terminal."""
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
    """Everything one run found.

    Attributes:
        settings: what was asked for.
        machine: what it ran on.
        lines: the figures.
        raw: the rounds they come from.
    """

    settings: Settings
    machine: dict[str, object]
    lines: list[Line] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)

    def title(self, text: str) -> None:
        """Print a headline."""
        print(f"\n{text}", flush=True)

    def add(self, line: Line) -> None:
        """Print a figure and keep it."""
        self.lines.append(line)
        print(f"  {line}", flush=True)

    def save(self) -> Path:
        """Write all of it as JSON."""
        CACHE.mkdir(parents=True, exist_ok=True)
        path = CACHE / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
        lines = [{**asdict(line), "figure": line.figure, "verdict": line.verdict} for line in self.lines]
        kept = {"settings": asdict(self.settings), "machine": self.machine, "figures": lines, "raw": self.raw}
        path.write_text(json.dumps(kept, indent=1))
        return path

    def exit_code(self) -> int:
        """1 when a budget does not hold, or was not measured; a smoke run fails for neither."""
        bad = any(line.verdict in {"FAIL", "NOT MEASURED"} for line in self.lines)
        return int(bad and not self.settings.quick)


def _short(figure: float) -> str:
    """Three digits, or a whole number."""
    return f"{figure:,.0f}" if abs(figure) >= 100 else f"{figure:.3g}"
