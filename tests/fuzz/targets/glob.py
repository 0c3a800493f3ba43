"""Globs over names of scripts: the lines are globs, the last one a name."""

import fnmatch
from itertools import permutations

from nightsafe.identity.globs import Globs, is_name

_LONGEST = 80
_MOST = 8
"""A token's patterns are bounded; more and longer ones only take longer."""


def one(data: bytes) -> None:
    """Each matches as a shell's does, alone and among others; what is said of two of them is true of the name."""
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
    """Whether a name matches, part by part, as a shell sees it."""
    globs, parts = glob.split("/"), name.split("/")
    return len(globs) == len(parts) and all(map(fnmatch.fnmatchcase, parts, globs))
