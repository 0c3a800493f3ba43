"""Reads the parts of a query that both versions of the audit log have: the period, the direction and whole numbers.

Source: the audit logs in the Cloudflare v4 API's specification. A query parameter that the call does not have is
refused, because ignoring a misspelt filter would show entries that the client did not ask for.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from nightsafe.api.http.paging import lists_of, whole_number
from nightsafe.api.http.times import parse_time
from nightsafe.errors import Code, NightsafeError
from nightsafe.store.scripts import Period

MAX_ENTRIES: Final = 1000
"""The most entries in one answer."""

DEFAULT_ENTRIES: Final = 100
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MAX_NAME: Final = 60
_NEWEST_FIRST: Final = {"desc": True, "asc": False}


def lists_with(query: bytes, known: Collection[str]) -> dict[str, list[str]]:
    """Return all values of each parameter of a query.

    Args:
        query: the query string.
        known: the parameters that the call has.

    Raises:
        NightsafeError: INVALID, for any other parameter.
    """
    lists = lists_of(query)
    for name in lists:
        if name not in known:
            shown = name[:_MAX_NAME] if name.isprintable() else "?"
            raise NightsafeError(Code.INVALID, f"there is no query parameter '{shown}' here; remove it")
    return lists


def period_of(fields: Mapping[str, str], *, required: bool) -> Period:
    """Return the period from `since` on, before `before`.

    Args:
        fields: the query's fields.
        required: whether both must be there.

    Raises:
        NightsafeError: INVALID.
    """
    for name in ("since", "before"):
        if required and name not in fields:
            raise NightsafeError(Code.INVALID, f"'{name}' is required: a date like 2030-12-31, or an RFC 3339 time")
    since = _time(fields, "since") or 0
    before = _time(fields, "before")
    if before is not None and before < since:
        raise NightsafeError(Code.INVALID, "'since' must not be later than 'before'")
    return Period(since) if before is None else Period(since, before - 1)


def _time(fields: Mapping[str, str], name: str) -> int | None:
    """Return a time in microseconds, or None if the field is absent. A date stands for its first moment in UTC."""
    moment = fields.get(name)
    if moment is None:
        return None
    try:
        return parse_time(moment + "T00:00:00Z" if _DATE.fullmatch(moment) else moment)
    except ValueError:
        sentence = f"'{name}' must be a date like 2030-12-31, or an RFC 3339 time with an offset, from 1970 to 9999"
        raise NightsafeError(Code.INVALID, sentence) from None


def is_newest_first(fields: Mapping[str, str]) -> bool:
    """Return whether the newest entry comes first, which is the default.

    Raises:
        NightsafeError: INVALID.
    """
    direction = fields.get("direction", "desc")
    check_choice("direction", [direction], _NEWEST_FIRST)
    return _NEWEST_FIRST[direction]


def check_choice(name: str, values: Sequence[str], choices: Collection[str]) -> None:
    """Refuse a value that is not a choice of a parameter.

    Raises:
        NightsafeError: INVALID.
    """
    if not set(values) <= set(choices):
        raise NightsafeError(Code.INVALID, f"'{name}' must be one of: {', '.join(choices)}")


def entries_wanted(fields: dict[str, str], name: str) -> int:
    """Return the most entries that an answer may have, by the parameter of this name.

    Raises:
        NightsafeError: INVALID.
    """
    wanted = whole_number(fields, name, DEFAULT_ENTRIES)
    if wanted > MAX_ENTRIES:
        raise NightsafeError(Code.INVALID, f"'{name}' must be a whole number from 1 to {MAX_ENTRIES}")
    return wanted
