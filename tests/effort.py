"""The effort of the tests: `fast` for an inner loop, `quick` for `make test`, `thorough` for CI, or `random`.

`NIGHTSAFE_TEST_EFFORT` names one. `quick` leaves out the tests marked `thorough` and draws fewer random inputs.
`random` is `thorough` with new random inputs in every run; the others draw the same inputs in every run.
"""

import os
from collections.abc import Iterable
from typing import Any, Final

import pytest
from hypothesis import settings

_LEAST: Final = {"fast": 5, "quick": 10, "thorough": 100, "random": 100}
_PART: Final = {"fast": 60, "quick": 10, "thorough": 1, "random": 1}

EFFORT: Final = os.environ.get("NIGHTSAFE_TEST_EFFORT", "thorough")
"""The effort of this run. A run of chosen tests without `make` is thorough."""

if EFFORT not in _LEAST:
    raise pytest.UsageError(f"EFFORT is {EFFORT!r}: choose one of {', '.join(_LEAST)}")
for _name, _least in _LEAST.items():
    settings.register_profile(_name, max_examples=_least, derandomize=_name != "random", deadline=None)
settings.load_profile(EFFORT)


def examples(most: int) -> int:
    """Return the number of examples for a property test that draws `most` in a thorough run."""
    return min(most, max(_LEAST[EFFORT], most // _PART[EFFORT]))


def chosen(thorough: int, quick: int) -> int:
    """Return the number for a thorough run, or the one for any other."""
    return thorough if _PART[EFFORT] == 1 else quick


def last_first(values: Iterable[Any]) -> list[Any]:
    """Return parameters of a test: every run tries the last value, and only thorough runs try the others."""
    *others, last = values
    return [*(pytest.param(value, marks=pytest.mark.thorough) for value in others), last]
