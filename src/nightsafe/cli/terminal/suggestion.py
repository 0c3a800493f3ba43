"""Suggests names that are similar to an unknown one."""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return a suggestion such as `did you mean 'worker'?`, or "" if no name is similar."""
    close = get_close_matches(name, [candidate for candidate in names if candidate != name])
    if not close:
        return ""
    *others, last = map(repr, close)
    return f"did you mean {', '.join(others)}{' or ' if others else ''}{last}?"
