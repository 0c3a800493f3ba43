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
        self._bits_by_glob: dict[str, int] = {}
        for index, glob in enumerate(globs):
            self._bits_by_glob[glob] = self._bits_by_glob.get(glob, 0) | 1 << index
        self._literal_prefixes: Final = {glob: literal_prefix(glob) for glob in self._bits_by_glob}
        prefixes, patterns = {}, {}
        for glob, bits in self._bits_by_glob.items():
            if _is_prefix_glob(glob, self._literal_prefixes[glob]):
                prefixes[_with_namespace_mark(glob[:-1], glob)] = bits
            elif self._literal_prefixes[glob] != glob:
                patterns[glob] = bits
        self._prefixes: Final = _Prefixes(prefixes)
        self._patterns: Final = Patterns(patterns)

    def find_matching(self, name: str) -> int:
        """Return the globs that match a script's name, with its namespace if any; the name must pass `is_name`."""
        found = self._bits_by_glob.get(name, 0) | self._prefixes.bits_of_prefixes_of(_with_namespace_mark(name, name))
        return found | self._patterns.find_matching(name)

    def find_supersets(self, glob: str) -> int:
        """Return the globs that are known to match every name that this glob matches.

        An empty glob stands for the whole account, which none of the globs contains.
        """
        prefix = literal_prefix(glob)
        if not glob:
            return 0
        if not _PLAIN.fullmatch(prefix):
            return self._bits_by_glob.get(glob, 0)
        if prefix == glob:
            return self.find_matching(glob)
        found = self._bits_by_glob.get(glob, 0) | self._prefixes.bits_of_prefixes_of(
            _with_namespace_mark(prefix, glob)
        )
        return found | self._patterns.find_supersets(prefix, glob[len(prefix) :])

    def find_overlapping(self, glob: str) -> int:
        """Return the globs that may match a name that this glob also matches; leave out those known not to."""
        prefix = literal_prefix(glob)
        if prefix == glob and _PLAIN.fullmatch(glob):
            return self.find_matching(glob)
        marked = _with_namespace_mark(prefix, glob)
        return (
            self._globs_by_literal_prefix.bits_of_prefixes_of(marked)
            | self._globs_by_literal_prefix.bits_under(marked)
            | self._globs_that_are_names.bits_under(marked)
        )

    @cached_property
    def _globs_by_literal_prefix(self) -> "_Prefixes":
        """The globs that are not names, by their literal prefix."""
        by_prefix: dict[str, int] = {}
        for glob, bits in self._bits_by_glob.items():
            if self._literal_prefixes[glob] != glob:
                marked = _with_namespace_mark(self._literal_prefixes[glob], glob)
                by_prefix[marked] = by_prefix.get(marked, 0) | bits
        return _Prefixes(by_prefix)

    @cached_property
    def _globs_that_are_names(self) -> "_Prefixes":
        """The globs that are names."""
        return _Prefixes(
            {
                _with_namespace_mark(glob, glob): bits
                for glob, bits in self._bits_by_glob.items()
                if glob and self._literal_prefixes[glob] == glob
            }
        )


class _Prefixes:
    """Prefixes, each with its bits. No bit stands for two prefixes.

    In sorted order, take the last prefix that is not after a text: every prefix of the text is a prefix of that one
    too.
    """

    def __init__(self, bits: Mapping[str, int]) -> None:
        self._texts: Final = sorted(bits)
        self._upto: Final = [0]
        self._shorter: Final[list[tuple[list[int], list[int]]]] = []
        containing: list[str] = []
        for text in self._texts:
            while containing and not text.startswith(containing[-1]):
                containing.pop()
            containing.append(text)
            self._shorter.append(
                ([len(prefix) for prefix in containing], _running_or(bits[prefix] for prefix in containing))
            )
            self._upto.append(self._upto[-1] | bits[text])

    def bits_of_prefixes_of(self, text: str) -> int:
        """Return the bits of the prefixes that a text begins with."""
        index = bisect_right(self._texts, text) - 1
        if index < 0:
            return 0
        lengths, sums = self._shorter[index]
        return sums[bisect_right(lengths, _common_prefix_length(self._texts[index], text))]

    def bits_under(self, text: str) -> int:
        """Return the bits of the prefixes that begin with a text."""
        first, after = bisect_left(self._texts, text), bisect_left(self._texts, text + _AFTER)
        return self._upto[after] ^ self._upto[first]


def is_name(text: str) -> bool:
    """Return whether a text is a possible name of a script, with its namespace if any."""
    return _NAME.fullmatch(text) is not None


def is_pattern(glob: str) -> bool:
    """Return whether a glob is a pattern: neither a name, nor a prefix followed by one `*`."""
    prefix = literal_prefix(glob)
    return prefix != glob and not _is_prefix_glob(glob, prefix)


def literal_prefix(glob: str) -> str:
    """Return a glob up to its first special character: the whole glob if it is a plain name."""
    special = _SPECIAL.search(glob)
    return glob if special is None else glob[: special.start()]


def _is_prefix_glob(glob: str, prefix: str) -> bool:
    """Return whether a glob with this head is a prefix followed by one `*`."""
    return len(prefix) == len(glob) - 1 and glob[-1] == STAR


def _with_namespace_mark(prefix: str, glob: str) -> str:
    """Return a glob's prefix behind a mark: `/` if the glob is for scripts in a namespace, `.` otherwise."""
    return ("/" if "/" in glob else ".") + prefix


def _common_prefix_length(text: str, other: str) -> int:
    """Return the length of the common prefix of two texts."""
    least, most = 0, min(len(text), len(other))
    while least < most:
        middle = (least + most + 1) // 2
        if text[least:middle] == other[least:middle]:
            least = middle
        else:
            most = middle - 1
    return least


def _running_or(bits: Iterable[int]) -> list[int]:
    """Return the running OR of some bits, beginning with 0."""
    return [*accumulate(bits, or_, initial=0)]
