"""When a token may be used, from the flags that say so."""

import click

from nightsafe.api.times import parse_time
from nightsafe.workers.caller import now

_SECOND = 1_000_000


def check_time(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    """An RFC 3339 time as microseconds since 1970 UTC."""
    if value is None:
        return None
    try:
        return parse_time(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no time; give one as 2030-01-31T12:00:00Z") from None


def end_of(expires_in: int | None, expires_on: int | None, not_before: int | None) -> int | None:
    """When a token's life ends, in microseconds, or None for never."""
    if expires_in is not None and expires_on is not None:
        raise click.UsageError("give --expires-in or --expires-on, not both")
    end = expires_on if expires_in is None else now() + expires_in * _SECOND
    if end is not None and end <= max(now(), not_before or 0):
        raise click.UsageError("the token would never be valid: its end lies in the past, or before --not-before")
    return end
