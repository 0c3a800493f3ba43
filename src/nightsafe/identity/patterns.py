"""Many globs as one automaton: it reads a name once, however many globs and `*` there are.

A state of the automaton is an integer with one bit for each position in each glob. The set bits say how far each glob
has matched. A glob with many `*` costs no more than a glob without (bit-parallel simulation, see G. Navarro and
M. Raffinot, "Flexible Pattern Matching in Strings", chapter 4).
"""

import string
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

STAR: Final = "*"
ALPHABET: Final = frozenset(string.ascii_letters + string.digits + "_-")
"""The characters of script and namespace names. A slash stands between the two, and only a slash matches it."""

Step = str | frozenset[str]
"""One step of a glob: a character, one of several characters, or `STAR` for any number of characters in ALPHABET."""


class Patterns:
    """An automaton for globs.

    Args:
        globs: the globs, each with the bits that stand for it in answers.
    """

    def __init__(self, globs: Mapping[str, int]) -> None:
        self._start = self._loops = 0
        self._ends: dict[int, int] = {}
        positions: dict[Step, int] = {}
        position = 1
        for glob, bits in globs.items():
            self._start |= position
            for step in steps(glob):
                if step == STAR:
                    self._loops |= position
                else:
                    position <<= 1
                    positions[step] = positions.get(step, 0) | position
            self._ends[position] = bits
            position <<= 1
        self._last = sum(self._ends)
        self._moves = _by_character(positions)
        self._accepting: dict[Step, int] = {"": 0}
        self._moves_of = self._moves.__getitem__  # faster than a call of a method

    def find_matching(self, name: str) -> int:
        """Return the bits of the globs that match a name.

        Args:
            name: a text of characters in ALPHABET, and `/`.
        """
        return self._matched_bits(self._state_after(name))

    def find_supersets(self, prefix: str, rest: str) -> int:
        """Return the bits of globs that match every name that another glob matches.

        The answer may miss some of these globs. It contains no others.

        Args:
            prefix: the other glob up to its first special character.
            rest: the remainder of that glob.
        """
        state = self._state_after(prefix)
        for step in steps(rest) if state else ():
            if step == STAR:
                state &= self._loops
            else:
                state = state << 1 & self._positions_accepting(step) | (0 if step == "/" else state & self._loops)
        return self._matched_bits(state)

    def _state_after(self, text: str) -> int:
        """Return the state after reading a text."""
        state, loops = self._start, self._loops
        for index, part in enumerate(text.split("/") if state else ()):
            if index:
                state = state << 1 & self._moves["/"]
            for move in map(self._moves_of, part):
                state = state << 1 & move | state & loops
            if not state:
                break
        return state

    def _positions_accepting(self, step: Step) -> int:
        """Return the positions that accept every character of a step."""
        accepting = self._accepting.get(step)
        if accepting is None:
            move = -1
            for character in step:
                move &= self._moves.get(character, 0)
            accepting = self._accepting[step] = max(move, 0)
        return accepting

    def _matched_bits(self, state: int) -> int:
        """Return the bits of the globs that have matched to their end."""
        state &= self._last
        bits = 0
        while state:
            end = state & -state
            bits |= self._ends[end]
            state ^= end
        return bits


def steps(glob: str) -> Iterator[Step]:
    """Yield the steps of a glob, each part between slashes parsed like the module fnmatch does."""
    for index, part in enumerate(glob.split("/")):
        if index:
            yield "/"
        yield from _steps_of_part(part)


def _steps_of_part(part: str) -> Iterator[Step]:
    """Yield the steps of a part between two slashes."""
    at = 0
    while at < len(part):
        character, at = part[at], at + 1
        if character == "?":
            yield ALPHABET
        elif character == "[" and (end := part.find("]", at + 1 + (part[at : at + 1] == "!"))) > 0:
            yield _members(part[at:end])
            at = end + 1
        else:
            yield character


def _members(text: str) -> frozenset[str]:
    """Return the characters of a bracket expression: single characters and ranges, or all others after `!`."""
    negated = text.startswith("!")
    text = text[negated:]
    members: set[str] = set()
    at = 0
    while at < len(text):
        is_range = text[at + 1 : at + 2] == "-" and at + 2 < len(text)
        last = text[at + 2] if is_range else text[at]
        members.update(character for character in ALPHABET if text[at] <= character <= last)
        at += 3 if is_range else 1
    return ALPHABET - members if negated else frozenset(members)


def _by_character(positions: Mapping[Step, int]) -> dict[str, int]:
    """Return, for each character, the positions that it leads to."""
    moves = dict.fromkeys((*ALPHABET, "/"), 0)
    for step, bits in positions.items():
        for character in _characters(step):
            moves[character] = moves.get(character, 0) | bits
    return moves


def _characters(step: Step) -> Iterable[str]:
    """Return the characters that a step accepts."""
    return step
