"""Times in RFC 3339."""

import datetime as dt

from nightsafe.api.http.times import format_time, parse_time


def check(data: bytes) -> None:
    """Check that a time is refused, or read as Python reads it, and survives being formatted."""
    text = data.decode("utf-8", "replace")
    try:
        moment = parse_time(text)
    except ValueError:
        return
    assert parse_time(format_time(moment)) == moment
    if len(text) <= len("2026-01-01T00:00:00.123456+00:00"):
        theirs = dt.datetime.fromisoformat(text.upper().replace(" ", "T"))
        assert abs(theirs.timestamp() * 1_000_000 - moment) < 1_000
