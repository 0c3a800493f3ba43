"""How much the tests try: little in an inner loop, what finds most, or all.

`HYPOTHESIS_PROFILE` is `fast`, `quick` (the default) or `thorough`. `thorough` means every combination of the tables,
and new random inputs in every run. The others draw the same inputs in every run.
"""

import os
from typing import Final

from hypothesis import settings

_LEAST: Final = {"fast": 5, "quick": 25, "thorough": 100}
_PART: Final = {"fast": 60, "quick": 10, "thorough": 1}

for _name, _least in _LEAST.items():
    settings.register_profile(_name, max_examples=_least, derandomize=_name != "thorough", deadline=None)

PROFILE: Final = os.environ.get("HYPOTHESIS_PROFILE", "quick")
"""The name of the profile."""

settings.load_profile(PROFILE)


def examples(most: int) -> int:
    """Give the number of examples of a test that draws `most` when it is thorough."""
    return most if PROFILE == "thorough" else min(most, max(_LEAST[PROFILE], most // _PART[PROFILE]))


def every(fast: int, quick: int) -> int:
    """Give the step at which a test goes through its cases: 1 when it is thorough."""
    return {"fast": fast, "quick": quick, "thorough": 1}[PROFILE]
