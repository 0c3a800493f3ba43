"""Globs over the names of scripts: `billing-*`, or `tenants/*` for scripts of a dispatch namespace.

A `/` parts a namespace from a script, and nothing but a `/` matches it: `*` speaks of no script of a namespace, for
such a script bears its customer's name. What is said of two globs errs on the side of refusing: a glob is known
to lie within another when they are equal, when the inner one is a name, and when each of its steps is one of the
other's.

All globs of a token are looked at together. Names, and beginnings as `billing-*`, are found in tables, however many
there are; all others, which are called patterns, make one automaton. So an answer costs what the name is long.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from functools import cached_property
from itertools import accumulate
from operator import or_
from typing import Final

from nightsafe.identity.patterns import STAR, Patterns

_SPECIAL: Final = re.compile(r"[*?\[]")
_NAME: Final = re.compile(r"(?:[A-Za-z0-9_-]{1,64}/)?[A-Za-z0-9_-]{1,255}")
LONGEST_NAME: Final = 64 + 1 + 255
_PLAIN: Final = re.compile(r"[A-Za-z0-9_/-]*")
_AFTER: Final = "\U0010ffff"


class Globs:
    """Globs with their places in a list.

    Each answer is a number of which bit n is set for the glob at place n.

    Args:
        globs: them; one may stand there several times.
    """

    def __init__(self, globs: Iterable[str]) -> None:
        self._places: dict[str, int] = {}
        for place, glob in enumerate(globs):
            self._places[glob] = self._places.get(glob, 0) | 1 << place
        self._heads_of: Final = {glob: head(glob) for glob in self._places}
        beginnings, patterns = {}, {}
        for glob, bits in self._places.items():
            if _is_beginning(glob, self._heads_of[glob]):
                beginnings[_marked(glob[:-1], glob)] = bits
            elif self._heads_of[glob] != glob:
                patterns[glob] = bits
        self._beginnings: Final = _Beginnings(beginnings)
        self._patterns: Final = Patterns(patterns)

    def matching(self, name: str) -> int:
        """Those that a script's name matches, with its namespace where it has one: only for what `is_name`."""
        found = self._places.get(name, 0) | self._beginnings.of(_marked(name, name))
        return found | self._patterns.matching(name)

    def containing(self, glob: str) -> int:
        """Those that every name is known to match which matches this glob; an empty one is more than any of them."""
        beginning = head(glob)
        if not glob:
            return 0
        if not _PLAIN.fullmatch(beginning):
            return self._places.get(glob, 0)
        if beginning == glob:
            return self.matching(glob)
        found = self._places.get(glob, 0) | self._beginnings.of(_marked(beginning, glob))
        return found | self._patterns.containing(beginning, glob[len(beginning) :])

    def touching(self, glob: str) -> int:
        """Those of which it is not known that no name matches both them and this glob."""
        beginning = head(glob)
        if beginning == glob and _PLAIN.fullmatch(glob):
            return self.matching(glob)
        marked = _marked(beginning, glob)
        return self._heads.of(marked) | self._heads.under(marked) | self._names.under(marked)

    @cached_property
    def _heads(self) -> "_Beginnings":
        """How those begin that are no names."""
        every: dict[str, int] = {}
        for glob, bits in self._places.items():
            if self._heads_of[glob] != glob:
                marked = _marked(self._heads_of[glob], glob)
                every[marked] = every.get(marked, 0) | bits
        return _Beginnings(every)

    @cached_property
    def _names(self) -> "_Beginnings":
        """Those that are names."""
        return _Beginnings(
            {
                _marked(glob, glob): bits
                for glob, bits in self._places.items()
                if glob and self._heads_of[glob] == glob
            }
        )


class _Beginnings:
    """Texts that others begin with, each with its bits: no bit stands for two of them.

    Those that a text begins with are beginnings of each other, and of the last one in order that is not after it.
    """

    def __init__(self, bits: Mapping[str, int]) -> None:
        self._texts: Final = sorted(bits)
        self._upto: Final = [0]
        self._shorter: Final[list[tuple[list[int], list[int]]]] = []
        above: list[str] = []
        for text in self._texts:
            while above and not text.startswith(above[-1]):
                above.pop()
            above.append(text)
            self._shorter.append(([len(one) for one in above], _sums(bits[one] for one in above)))
            self._upto.append(self._upto[-1] | bits[text])

    def of(self, text: str) -> int:
        """The bits of those that a text begins with."""
        place = bisect_right(self._texts, text) - 1
        if place < 0:
            return 0
        lengths, sums = self._shorter[place]
        return sums[bisect_right(lengths, _common(self._texts[place], text))]

    def under(self, text: str) -> int:
        """The bits of those that begin with a text."""
        first, after = bisect_left(self._texts, text), bisect_left(self._texts, text + _AFTER)
        return self._upto[after] ^ self._upto[first]


def is_name(text: str) -> bool:
    """Whether a script, with its namespace where it has one, can be called so."""
    return _NAME.fullmatch(text) is not None


def is_pattern(glob: str) -> bool:
    """Whether a glob is more than a name, or a beginning and `*`."""
    beginning = head(glob)
    return beginning != glob and not _is_beginning(glob, beginning)


def head(glob: str) -> str:
    """A glob up to its first special character: all of it when it is a plain name."""
    special = _SPECIAL.search(glob)
    return glob if special is None else glob[: special.start()]


def _is_beginning(glob: str, beginning: str) -> bool:
    """Whether a glob, of which that is the head, is a beginning and `*`."""
    return len(beginning) == len(glob) - 1 and glob[-1] == STAR


def _marked(beginning: str, glob: str) -> str:
    """A beginning of a glob, behind a mark that tells whether it is about scripts of namespaces."""
    return ("/" if "/" in glob else ".") + beginning


def _common(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    least, most = 0, min(len(one), len(other))
    while least < most:
        middle = (least + most + 1) // 2
        if one[least:middle] == other[least:middle]:
            least = middle
        else:
            most = middle - 1
    return least


def _sums(bits: Iterable[int]) -> list[int]:
    """All the bits of the first none, one, two … of some."""
    return [*accumulate(bits, or_, initial=0)]
