"""Members of an object that are not known: a slip of one that is known is refused, any other is named in the answer.

Done as it stands, a request with a slip would do something else than was meant, and nobody would be told. What is no
slip may be new at Cloudflare, and clients send it on: it is passed over, but not without a word.
"""

from collections.abc import Collection, Iterable, Iterator
from itertools import islice, takewhile
from operator import eq
from typing import Any, Final

from nightsafe.bindings.json_fields import pointer_to
from nightsafe.errors import Code, NightsafeError, Problem

_SHORTEST: Final = 4
"""Shorter names are too near to one another."""

_MOST_LOOKED_AT: Final = 100
_MOST_TOLD: Final = 20
_LONGEST_TOLD: Final = 64


def need_known(fields: dict[str, Any], known: Collection[str], at: str, what: str) -> None:
    """Refuse an object that names something and nothing that is known: done as it stands, it would do nothing.

    An empty object asks for nothing and gets it. Beside a member that is known, others are passed over, but for
    slips.

    Args:
        fields: the object.
        known: the members that it may have.
        at: JSON Pointer to it.
        what: how a message calls it.

    Raises:
        NightsafeError: INVALID, pointing at each slip, or else at the first member.
    """
    refuse_slips(fields, known, at)
    names = sorted(known)
    if fields and not any(name in fields for name in names):
        sentence = f"{what} would change nothing: of its members none is known here, which are {', '.join(names)}"
        raise NightsafeError(Code.INVALID, sentence, pointer_to(at, next(iter(fields))))


def refuse_slips(fields: dict[str, Any], known: Iterable[str], at: str) -> None:
    """Refuse an object with a member that is a slip of one that is known.

    Args:
        fields: the object.
        known: the members that it may have.
        at: JSON Pointer to it.

    Raises:
        NightsafeError: INVALID, one problem for each such member, pointing at it.
    """
    names = sorted(known)
    slips = [
        Problem(Code.INVALID, f"'{name}' is not known here: '{meant}' is meant", pointer_to(at, name[:_LONGEST_TOLD]))
        for name in _strange(fields, names)
        if (meant := _meant(name, names))
    ]
    if slips:
        raise NightsafeError.of(slips)


def unknown(fields: dict[str, Any], known: Iterable[str], at: str, fate: str = "passed over") -> tuple[Problem, ...]:
    """A notice for each member that is not known, and not null.

    Args:
        fields: the object.
        known: the members that it may have.
        at: JSON Pointer to it.
        fate: what becomes of it.
    """
    strange = (name[:_LONGEST_TOLD] for name in _strange(fields, set(known)) if fields[name] is not None)
    return tuple(
        Problem(Code.INVALID, f"'{name}' is not known here and is {fate}", pointer_to(at, name))
        for name in islice(strange, _MOST_TOLD)
    )


def _strange(fields: dict[str, Any], known: Collection[str]) -> Iterator[str]:
    """The members that are not known, but no endless number of them."""
    return islice((name for name in fields if name not in known), _MOST_LOOKED_AT)


def _meant(name: str, known: Iterable[str]) -> str | None:
    """The known member that a name is a slip of."""
    plain = _plain(name)
    return next((one for one in known if len(one) >= _SHORTEST and _is_slip(plain, _plain(one))), None)


def _plain(name: str) -> str:
    """A name without what spelling in another style changes: `keepBindings`, `keep-bindings`."""
    return name.casefold().replace("_", "").replace("-", "")


def _is_slip(name: str, meant: str) -> bool:
    """Whether one letter at most was left out, added or mistaken, or two next to each other changed places."""
    if abs(len(name) - len(meant)) > 1:
        return False
    same = sum(1 for _ in takewhile(bool, map(eq, name, meant)))
    left, right = name[same:], meant[same:]
    one_letter = left[1:] == right[1:] or left[1:] == right or left == right[1:]
    return one_letter or (left[:2] == right[1::-1] and left[2:] == right[2:])
