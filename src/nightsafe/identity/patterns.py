"""Many globs as one automaton: a name is read once, however many globs there are and however many `*` are in them.

A state of the automaton is a number, a bit of it for each place in each glob: the bits that are set say how far each
has come. A glob with many `*` costs no more than one without (bit-parallel simulation, as in G. Navarro and
M. Raffinot, "Flexible Pattern Matching in Strings", chapter 4).
"""

import string
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

STAR: Final = "*"
ALPHABET: Final = frozenset(string.ascii_letters + string.digits + "_-")
"""What names of scripts and namespaces are made of. Between the two stands a slash, which only a slash matches."""

Step = str | frozenset[str]
"""What a glob takes next: a character, one of several, or `STAR`, any number of those of the alphabet."""


class Patterns:
    """An automaton of globs.

    Args:
        globs: each with the bits that stand for it in the answers.
    """

    def __init__(self, globs: Mapping[str, int]) -> None:
        self._start = self._loops = 0
        self._ends: dict[int, int] = {}
        places: dict[Step, int] = {}
        place = 1
        for glob, bits in globs.items():
            self._start |= place
            for step in steps(glob):
                if step == STAR:
                    self._loops |= place
                else:
                    place <<= 1
                    places[step] = places.get(step, 0) | place
            self._ends[place] = bits
            place <<= 1
        self._last = sum(self._ends)
        self._moves = _by_character(places)
        self._all: dict[Step, int] = {"": 0}
        self._moves_of = self._moves.__getitem__  # the fastest way

    def matching(self, name: str) -> int:
        """The bits of the globs that a name matches, which must be made of what names are made of."""
        return self._bits(self._after(name))

    def containing(self, beginning: str, rest: str) -> int:
        """The bits of globs that every name matches which matches another glob: not all such, but no others.

        Args:
            beginning: of that glob, without anything special in it.
            rest: what follows.
        """
        state = self._after(beginning)
        for step in steps(rest) if state else ():
            if step == STAR:
                state &= self._loops
            else:
                state = state << 1 & self._all_of(step) | (0 if step == "/" else state & self._loops)
        return self._bits(state)

    def _after(self, text: str) -> int:
        """Where all have come to after a text."""
        state, loops = self._start, self._loops
        for index, part in enumerate(text.split("/") if state else ()):
            if index:
                state = state << 1 & self._moves["/"]
            for move in map(self._moves_of, part):
                state = state << 1 & move | state & loops
            if not state:
                break
        return state

    def _all_of(self, step: Step) -> int:
        """Where all that a step stands for is taken."""
        known = self._all.get(step)
        if known is None:
            move = -1
            for one in step:
                move &= self._moves.get(one, 0)
            known = self._all[step] = max(move, 0)
        return known

    def _bits(self, state: int) -> int:
        """The bits of the globs that have come to their end."""
        state &= self._last
        bits = 0
        while state:
            end = state & -state
            bits |= self._ends[end]
            state ^= end
        return bits


def steps(glob: str) -> Iterator[Step]:
    """What a glob takes, in order, as the module fnmatch reads each of its parts."""
    for index, part in enumerate(glob.split("/")):
        if index:
            yield "/"
        yield from _steps_of_part(part)


def _steps_of_part(part: str) -> Iterator[Step]:
    """The same of what stands between two slashes."""
    at = 0
    while at < len(part):
        one, at = part[at], at + 1
        if one == "?":
            yield ALPHABET
        elif one == "[" and (end := part.find("]", at + 1 + (part[at : at + 1] == "!"))) > 0:
            yield _members(part[at:end])
            at = end + 1
        else:
            yield one


def _members(text: str) -> frozenset[str]:
    """The characters that stand between brackets: singly, as ranges, or all others."""
    negated = text.startswith("!")
    text = text[negated:]
    members: set[str] = set()
    at = 0
    while at < len(text):
        is_range = text[at + 1 : at + 2] == "-" and at + 2 < len(text)
        last = text[at + 2] if is_range else text[at]
        members.update(one for one in ALPHABET if text[at] <= one <= last)
        at += 3 if is_range else 1
    return ALPHABET - members if negated else frozenset(members)


def _by_character(places: Mapping[Step, int]) -> dict[str, int]:
    """For each character, the places that it leads to."""
    moves = dict.fromkeys((*ALPHABET, "/"), 0)
    for step, bits in places.items():
        for one in _characters(step):
            moves[one] = moves.get(one, 0) | bits
    return moves


def _characters(step: Step) -> Iterable[str]:
    """The characters that a step takes."""
    return step
