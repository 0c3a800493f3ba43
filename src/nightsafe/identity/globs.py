"""Globs over the names of scripts: `billing-*`, or `tenants/*` for scripts of a dispatch namespace.

A `/` parts a namespace from a script, and nothing but a `/` matches it: `*` speaks of no script of a namespace, for
such a script bears its customer's name. What is said of two globs errs on the side of refusing: a glob is known
to lie within another when they are equal, when the outer one is a prefix and `*`, or when the inner one is a name.
"""

import fnmatch
import functools
import re

_SPECIAL = re.compile(r"[*?\[]")


def matches(glob: str, name: str) -> bool:
    """Whether a script's name, with its namespace where it has one, is one of a glob's."""
    patterns, parts = _patterns(glob), name.split("/")
    return len(patterns) == len(parts) and all(map(re.Pattern.match, patterns, parts))


def contains(outer: str, inner: str) -> bool:
    """Whether every name that matches `inner` is known to match `outer`; an empty `inner` is more than any glob."""
    pairs = _pairs(outer, inner)
    return bool(inner and pairs) and all(_part_contains(*pair) for pair in pairs)


def apart(one: str, other: str) -> bool:
    """Whether it is known that no name matches both."""
    pairs = _pairs(one, other)
    return not pairs or any(_parts_apart(*pair) for pair in pairs)


@functools.lru_cache(maxsize=1024)
def _patterns(glob: str) -> tuple[re.Pattern[str], ...]:
    """A glob as regular expressions, one for each part of a name."""
    return tuple(re.compile(fnmatch.translate(part)) for part in glob.split("/"))


def _pairs(one: str, other: str) -> list[tuple[str, str]]:
    """The parts of two globs side by side; none when they have not equally many."""
    first, second = one.split("/"), other.split("/")
    return list(zip(first, second, strict=True)) if len(first) == len(second) else []


def _part_contains(outer: str, inner: str) -> bool:
    """As `contains`, of one part."""
    if outer == inner:
        return True
    if _prefix(inner) == inner:
        return fnmatch.fnmatchcase(inner, outer)
    return _prefix(outer) + "*" == outer and _prefix(inner).startswith(_prefix(outer))


def _parts_apart(one: str, other: str) -> bool:
    """As `apart`, of one part."""
    first, second = _prefix(one), _prefix(other)
    if first == one or second == other:
        name, glob = (one, other) if first == one else (other, one)
        return not fnmatch.fnmatchcase(name, glob)
    return not first.startswith(second) and not second.startswith(first)


def _prefix(glob: str) -> str:
    """A glob up to its first special character: all of it when it is a plain name."""
    return _SPECIAL.split(glob, maxsplit=1)[0]
