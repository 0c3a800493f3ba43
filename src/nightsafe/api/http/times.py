"""Converts between RFC 3339, the form of times in requests and answers, and microseconds since 1970 UTC."""

import datetime as dt
import re

_MICROSECOND = dt.timedelta(microseconds=1)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_MICRO_DIGITS = 6


def format_time(microseconds: int) -> str:
    """Format a time as RFC 3339 in UTC, with microseconds unless they are zero."""
    return (_EPOCH + microseconds * _MICROSECOND).isoformat().replace("+00:00", "Z")


def parse_time(text: str) -> int:
    """Parse an RFC 3339 time into microseconds since 1970. Finer digits are cut off.

    Raises:
        ValueError: for any other text, a time without an offset, or a time before 1970 or after 9999.
    """
    match = _RFC_3339.fullmatch(text)
    if match is None:
        raise ValueError
    fraction, offset = match[1] or "", match[2]
    bare = text[: len(text) - len(fraction) - len(offset)]
    try:
        moment = dt.datetime.fromisoformat(bare + ("+00:00" if offset in "Zz" else offset)).astimezone(dt.UTC)
    except OverflowError:
        raise ValueError from None
    if moment < _EPOCH:
        raise ValueError
    return (moment - _EPOCH) // _MICROSECOND + int(fraction[1 : 1 + _MICRO_DIGITS].ljust(_MICRO_DIGITS, "0"))
