"""What clients know about their writes, in a file, and its comparison with what the safe has."""

import json
from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final

from msgspec import Struct


class Outcome(StrEnum):
    """What an answer says about a write.

    ACKNOWLEDGED: it is done, and stays done.
    REFUSED: it is not done, and will not be.
    UNKNOWN: there was no answer, or the answer says that the outcome is unknown.
    """

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Write(Struct, frozen=True, order=True):
    """One write: two secrets of a script, which have its number in their names."""

    script: str
    number: int

    @property
    def names(self) -> tuple[str, str]:
        """The names of the two secrets."""
        return (f"LEFT_{self.number}", f"RIGHT_{self.number}")


class Journal:
    """A file with a line before each write is sent, and a line after its answer.

    Args:
        path: the file, which is absent.
    """

    def __init__(self, path: Path) -> None:
        self._path: Final = path
        self._file: Final = path.open("x", buffering=1)

    def sent(self, write: Write) -> None:
        """Keep that a write will be sent. Until its answer, its outcome is unknown."""
        self._add(write, Outcome.UNKNOWN)

    def answered(self, write: Write, outcome: Outcome) -> None:
        """Keep what an answer says."""
        self._add(write, outcome)

    def outcomes(self) -> dict[Write, Outcome]:
        """Read the file: each write that was sent, with the last that is known of it."""
        lines = [json.loads(line) for line in self._path.read_text().splitlines()]
        return {Write(script, number): Outcome(outcome) for script, number, outcome in lines}

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _add(self, write: Write, outcome: Outcome) -> None:
        """Add a line."""
        self._file.write(f"{json.dumps([write.script, write.number, outcome])}\n")


class Findings(Struct, frozen=True):
    """The writes for which a safe disagrees with the journal. Each list is empty if the safe kept its promises.

    Attributes:
        lost: acknowledged, and not done.
        half_done: done in one of its two parts.
        done_twice: done more than once.
        done_although_refused: refused, and done.
    """

    lost: list[Write]
    half_done: list[Write]
    done_twice: list[Write]
    done_although_refused: list[Write]


def compare(outcomes: Mapping[Write, Outcome], made: Mapping[tuple[str, str], list[int]]) -> Findings:
    """Compare the outcomes of writes with the safe.

    Args:
        outcomes: the journal's outcome of each write.
        made: for each script and secret, the numbers of all versions that ever made the secret.
    """
    found = Findings([], [], [], [])
    for write, outcome in sorted(outcomes.items()):
        left, right = (sorted(made.get((write.script, name), [])) for name in write.names)
        if left != right:
            found.half_done.append(write)
        if max(len(left), len(right)) > 1:
            found.done_twice.append(write)
        if outcome is Outcome.ACKNOWLEDGED and not (left and right):
            found.lost.append(write)
        if outcome is Outcome.REFUSED and (left or right):
            found.done_although_refused.append(write)
    return found


def done(outcomes: Mapping[Write, Outcome], made: Mapping[tuple[str, str], list[int]]) -> Counter[str]:
    """Return the number of writes that are done, by script."""
    return Counter(write.script for write in outcomes if any(made.get((write.script, name)) for name in write.names))
