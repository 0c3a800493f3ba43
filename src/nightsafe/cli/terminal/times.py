"""Formats times for people."""

import datetime as dt


def display_time(moment: dt.datetime | str | None) -> str:
    """Return a time in UTC, to the second, or `-` for None."""
    if moment is None:
        return "-"
    if isinstance(moment, str):
        try:
            return display_time(dt.datetime.fromisoformat(moment))
        except ValueError:
            return moment
    return moment.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
