"""The flows of docs/architecture.md: the steps that the page lists, and the functions that a run really enters."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "architecture.md"
SOURCE: Final = ROOT / "src" / "nightsafe"
_STEP: Final = re.compile(r"^\d+\. `([\w/]+\.py)`: `([\w.<>]+)`$", re.MULTILINE)

Step = tuple[str, str]
"""A file below `src/nightsafe`, and the qualified name of a function in it."""


def listed(title: str) -> list[Step]:
    """Return the steps that the page lists under a heading."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n### {title}\n", 1)[1].split("\n##", 1)[0]
    steps = _STEP.findall(section)
    assert steps
    assert len(steps) == len(re.findall(r"^\d+\.", section, re.MULTILINE))
    return steps


@contextmanager
def entered() -> Iterator[list[Step]]:
    """Yield a list that collects the functions of the package that this thread enters, in order."""
    steps: list[Step] = []
    below = f"{SOURCE}/"

    def note(frame: FrameType, event: str, _: object) -> None:
        """Note a call."""
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(below):
            steps.append((code.co_filename.removeprefix(below), code.co_qualname))

    sys.setprofile(note)
    try:
        yield steps
    finally:
        sys.setprofile(None)


def missed(wanted: list[Step], steps: list[Step]) -> list[Step]:
    """Return the listed steps that a run does not enter after the steps before them."""
    rest = iter(steps)
    return [step for step in wanted if step not in rest]
