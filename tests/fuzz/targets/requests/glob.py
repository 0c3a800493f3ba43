"""Globs over names of scripts: each line is a glob, and the last one a name."""

import fnmatch
from itertools import permutations

from nightsafe.identity.globs import Globs, is_name

_LONGEST = 80
_MOST = 8
"""Limits like those of a token's patterns; more and longer ones would only take longer."""


def check(data: bytes) -> None:
    """Check that globs match as in a shell, alone and together, and that relations of two hold for the name."""
    *globs, name = [line[:_LONGEST] for line in data.decode("utf-8", "replace").split("\n")][: _MOST + 1]
    if is_name(name):
        found = Globs(globs).find_matching(name)
        within = [glob for place, glob in enumerate(globs) if found >> place & 1]
        assert within == [glob for glob in globs if _matches(glob, name)], (globs, name)
    for outer, inner in permutations(globs, 2):
        contains, touches = Globs([outer]).find_supersets(inner), Globs([outer]).find_overlapping(inner)
        if is_name(name) and _matches(inner, name):
            assert not contains or _matches(outer, name), (outer, inner, name)
            assert touches or not _matches(outer, name), (outer, inner, name)


def _matches(glob: str, name: str) -> bool:
    """Return whether a name matches, part by part, as in a shell."""
    globs, parts = glob.split("/"), name.split("/")
    return len(globs) == len(parts) and all(map(fnmatch.fnmatchcase, parts, globs))
