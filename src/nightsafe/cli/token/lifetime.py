"""A token's lifetime, from the flags."""

from typing import Final

import click

from nightsafe.api.http.times import parse_time
from nightsafe.services.caller import now

DEFAULT_DAYS: Final = 90
"""Default lifetime of a token. `docs/decisions/0006-the-command-line.md` has the reason."""
_SECOND: Final = 1_000_000
_DAY: Final = 24 * 60 * 60


def check_time(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    """Parse an RFC 3339 time to microseconds since 1970 UTC."""
    if value is None:
        return None
    try:
        return parse_time(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a time; give one like 2030-01-31T12:00:00Z") from None


def expiry_of(expires_in: int | None, expires_on: int | None, not_before: int | None, *, never: bool) -> int | None:
    """Return a token's expiry in microseconds since 1970 UTC, or None if `never` is set.

    The default is `DEFAULT_DAYS` after its beginning, in whole seconds.

    Raises:
        click.UsageError: if flags contradict each other, or the token would never be valid.
    """
    if (expires_in is not None) + (expires_on is not None) + never > 1:
        raise click.UsageError("give only one of --expires-in, --expires-on and --no-expiry")
    if never:
        return None
    if expires_in is None and expires_on is None:
        return (max(now(), not_before or 0) // _SECOND + DEFAULT_DAYS * _DAY) * _SECOND
    end = expires_on if expires_in is None else now() + expires_in * _SECOND
    if end is not None and end <= max(now(), not_before or 0):
        raise click.UsageError("the token would never be valid: it would expire in the past, or before --not-before")
    return end
