"""Handles unknown members of a JSON object: refuses misspelt names, and names any other unknown member in the answer.

If Nightsafe ignored a misspelt member, the request would silently do something else than its sender meant. An
unknown member that is not a misspelling may be new at Cloudflare, and clients send such members. Nightsafe ignores
it, but says so in the answer.
"""

from collections.abc import Collection, Iterable, Iterator
from itertools import islice, takewhile
from operator import eq
from typing import Any, Final

from nightsafe.bindings.json_fields import pointer_to
from nightsafe.errors import Code, NightsafeError, Problem

_MIN_COMPARED_LENGTH: Final = 4
"""Minimum length of a known name to compare with; shorter names are too similar to each other."""

_MAX_EXAMINED: Final = 100
_MAX_NOTICES: Final = 20
_MAX_NAME_LENGTH: Final = 64


def require_known(fields: dict[str, Any], known: Collection[str], at: str, what: str) -> None:
    """Refuse an object that has members but no known one, because such a request would do nothing.

    An empty object is valid and changes nothing. If the object has a known member, this function ignores its unknown
    members, except misspelt ones.

    Args:
        fields: the object.
        known: the members that it may have.
        at: JSON Pointer to the object.
        what: the object's name in an error message.

    Raises:
        NightsafeError: INVALID, pointing at each misspelt member, or else at the first member.
    """
    refuse_misspelt(fields, known, at)
    names = sorted(known)
    if fields and not any(name in fields for name in names):
        sentence = f"{what} would change nothing because no member is known; the known members are {', '.join(names)}"
        raise NightsafeError(Code.INVALID, sentence, pointer_to(at, next(iter(fields))))


def refuse_misspelt(fields: dict[str, Any], known: Iterable[str], at: str) -> None:
    """Refuse an object with a member that is a misspelling of a known one.

    Args:
        fields: the object.
        known: the members that it may have.
        at: JSON Pointer to the object.

    Raises:
        NightsafeError: INVALID, with one problem for each misspelt member, pointing at it.
    """
    names = sorted(known)
    misspelt = [
        Problem(
            Code.INVALID,
            f"'{name}' is not a known member: did you mean '{intended}'?",
            pointer_to(at, name[:_MAX_NAME_LENGTH]),
        )
        for name in _unknown_names(fields, names)
        if (intended := _intended(name, names))
    ]
    if misspelt:
        raise NightsafeError.of(misspelt)


def unknown_member_notices(
    fields: dict[str, Any], known: Iterable[str], at: str, outcome: str = "ignored"
) -> tuple[Problem, ...]:
    """Return a notice for each unknown member that is not null.

    Args:
        fields: the object.
        known: the members that it may have.
        at: JSON Pointer to the object.
        outcome: what Nightsafe did with the member, as a participle for the notice.
    """
    unknown_names = (
        name[:_MAX_NAME_LENGTH] for name in _unknown_names(fields, set(known)) if fields[name] is not None
    )
    return tuple(
        Problem(Code.INVALID, f"'{name}' is not a known member and is {outcome}", pointer_to(at, name))
        for name in islice(unknown_names, _MAX_NOTICES)
    )


def _unknown_names(fields: dict[str, Any], known: Collection[str]) -> Iterator[str]:
    """Yield the unknown members, up to a fixed number."""
    return islice((name for name in fields if name not in known), _MAX_EXAMINED)


def _intended(name: str, known: Iterable[str]) -> str | None:
    """Return the known member that the name misspells, if there is one."""
    normalised = _normalise(name)
    return next(
        (
            member
            for member in known
            if len(member) >= _MIN_COMPARED_LENGTH and _is_misspelling(normalised, _normalise(member))
        ),
        None,
    )


def _normalise(name: str) -> str:
    """Reduce a name to a form that is the same in every case style (`keepBindings`, `keep-bindings`)."""
    return name.casefold().replace("_", "").replace("-", "")


def _is_misspelling(name: str, intended: str) -> bool:
    """Return True if the names differ by at most one missing, extra or wrong letter, or by two swapped neighbours."""
    if abs(len(name) - len(intended)) > 1:
        return False
    same = sum(1 for _ in takewhile(bool, map(eq, name, intended)))
    name_rest, intended_rest = name[same:], intended[same:]
    one_letter = (
        name_rest[1:] == intended_rest[1:] or name_rest[1:] == intended_rest or name_rest == intended_rest[1:]
    )
    return one_letter or (name_rest[:2] == intended_rest[1::-1] and name_rest[2:] == intended_rest[2:])
