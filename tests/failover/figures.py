"""The figures of the failures, as a table."""

import statistics
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

_HEAD: Final = """\
| failure | times | next acknowledged write, median | worst | acknowledged | lost | half done | done twice |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""


class Figures(Struct):
    """The figures of one scenario.

    Attributes:
        failure: the failure.
        seconds: for each time, the seconds from the failure to the next acknowledged write.
        acknowledged: the number of acknowledged writes.
        lost: the number of these that are not there.
        half_done: the number of writes that are there in one of two parts.
        done_twice: the number of writes that are there more than once.
    """

    failure: str
    seconds: list[float]
    acknowledged: int
    lost: int
    half_done: int
    done_twice: int

    def row(self) -> str:
        """Return the figures as a row of the table."""
        median, worst = statistics.median(self.seconds), max(self.seconds)
        return (
            f"| {self.failure} | {len(self.seconds)} | {median:.1f} s | {worst:.1f} s | {self.acknowledged:,} |"
            f" {self.lost} | {self.half_done} | {self.done_twice} |\n"
        )


def altogether(figures: Sequence[Figures]) -> Figures:
    """Return the figures of all scenarios together."""
    return Figures(
        "all",
        [seconds for one in figures for seconds in one.seconds],
        *(sum(getattr(one, name) for one in figures) for name in ("acknowledged", "lost", "half_done", "done_twice")),
    )


def table(figures: Sequence[Figures]) -> str:
    """Return the figures as a table in Markdown."""
    return _HEAD + "".join(one.row() for one in [*figures, altogether(figures)])
