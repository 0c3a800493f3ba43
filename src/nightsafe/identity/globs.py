"""Globs over script names: `billing-*`, or `tenants/*` for the scripts of a dispatch namespace.

A `/` separates a namespace from a script, and only a `/` matches it. So `*` matches no script in a namespace: such a
script is named by a customer. Comparisons of two globs err on the side of refusing. A glob counts as contained in
another only if the two are equal, if the inner one is a name that the outer one matches, or if every step of the
inner one is a step of the outer one.

All globs of a token are looked up together. Names, and prefixes such as `billing-*`, are looked up in tables, however
many there are. All other globs are called patterns and form one automaton. So the time of a lookup depends on the
length of the name only.
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
    """Globs with their indices in a list.

    Each answer is an integer in which bit n is set for the glob at index n.

    Args:
        globs: the globs; a glob may appear several times.
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
        """Return the globs that match a script's name, with its namespace if any; the name must pass `is_name`."""
        found = self._places.get(name, 0) | self._beginnings.of(_marked(name, name))
        return found | self._patterns.matching(name)

    def containing(self, glob: str) -> int:
        """Return the globs that are known to match every name that this glob matches.

        An empty glob stands for the whole account, which none of the globs contains.
        """
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
        """Return the globs that may match a name that this glob also matches; leave out those known not to."""
        beginning = head(glob)
        if beginning == glob and _PLAIN.fullmatch(glob):
            return self.matching(glob)
        marked = _marked(beginning, glob)
        return self._heads.of(marked) | self._heads.under(marked) | self._names.under(marked)

    @cached_property
    def _heads(self) -> "_Beginnings":
        """The globs that are not names, by their literal prefix."""
        every: dict[str, int] = {}
        for glob, bits in self._places.items():
            if self._heads_of[glob] != glob:
                marked = _marked(self._heads_of[glob], glob)
                every[marked] = every.get(marked, 0) | bits
        return _Beginnings(every)

    @cached_property
    def _names(self) -> "_Beginnings":
        """The globs that are names."""
        return _Beginnings(
            {
                _marked(glob, glob): bits
                for glob, bits in self._places.items()
                if glob and self._heads_of[glob] == glob
            }
        )


class _Beginnings:
    """Prefixes, each with its bits. No bit stands for two prefixes.

    In sorted order, take the last prefix that is not after a text: every prefix of the text is a prefix of that one
    too.
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
            self._shorter.append(
                ([len(beginning) for beginning in above], _sums(bits[beginning] for beginning in above))
            )
            self._upto.append(self._upto[-1] | bits[text])

    def of(self, text: str) -> int:
        """Return the bits of the prefixes that a text begins with."""
        place = bisect_right(self._texts, text) - 1
        if place < 0:
            return 0
        lengths, sums = self._shorter[place]
        return sums[bisect_right(lengths, _common(self._texts[place], text))]

    def under(self, text: str) -> int:
        """Return the bits of the prefixes that begin with a text."""
        first, after = bisect_left(self._texts, text), bisect_left(self._texts, text + _AFTER)
        return self._upto[after] ^ self._upto[first]


def is_name(text: str) -> bool:
    """Return whether a text is a possible name of a script, with its namespace if any."""
    return _NAME.fullmatch(text) is not None


def is_pattern(glob: str) -> bool:
    """Return whether a glob is a pattern: neither a name, nor a prefix followed by one `*`."""
    beginning = head(glob)
    return beginning != glob and not _is_beginning(glob, beginning)


def head(glob: str) -> str:
    """Return a glob up to its first special character: the whole glob if it is a plain name."""
    special = _SPECIAL.search(glob)
    return glob if special is None else glob[: special.start()]


def _is_beginning(glob: str, beginning: str) -> bool:
    """Return whether a glob with this head is a prefix followed by one `*`."""
    return len(beginning) == len(glob) - 1 and glob[-1] == STAR


def _marked(beginning: str, glob: str) -> str:
    """Return a glob's prefix behind a mark: `/` if the glob is for scripts in a namespace, `.` otherwise."""
    return ("/" if "/" in glob else ".") + beginning


def _common(one: str, other: str) -> int:
    """Return the length of the common prefix of two texts."""
    least, most = 0, min(len(one), len(other))
    while least < most:
        middle = (least + most + 1) // 2
        if one[least:middle] == other[least:middle]:
            least = middle
        else:
            most = middle - 1
    return least


def _sums(bits: Iterable[int]) -> list[int]:
    """Return the running OR of some bits, beginning with 0."""
    return [*accumulate(bits, or_, initial=0)]
