"""When a token may be used, from the flags that say so."""

from typing import Final

import click

from nightsafe.api.http.times import parse_time
from nightsafe.services.caller import now

DEFAULT_DAYS: Final = 90
"""How long a token lives when nothing else is said: `docs/decisions/0006-the-command-line.md` says why."""
_SECOND: Final = 1_000_000
_DAY: Final = 24 * 60 * 60


def check_time(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    """An RFC 3339 time as microseconds since 1970 UTC."""
    if value is None:
        return None
    try:
        return parse_time(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no time; give one as 2030-01-31T12:00:00Z") from None


def end_of(expires_in: int | None, expires_on: int | None, not_before: int | None, *, never: bool) -> int | None:
    """When a token's life ends, in microseconds since 1970 UTC; None only when it is said to be never.

    By default it is some whole seconds from its beginning.
    """
    if (expires_in is not None) + (expires_on is not None) + never > 1:
        raise click.UsageError("give --expires-in, --expires-on or --no-expiry, and not both of any two")
    if never:
        return None
    if expires_in is None and expires_on is None:
        return (max(now(), not_before or 0) // _SECOND + DEFAULT_DAYS * _DAY) * _SECOND
    end = expires_on if expires_in is None else now() + expires_in * _SECOND
    if end is not None and end <= max(now(), not_before or 0):
        raise click.UsageError("the token would never be valid: its end lies in the past, or before --not-before")
    return end
