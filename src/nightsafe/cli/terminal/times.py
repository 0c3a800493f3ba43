"""Times as people read them."""

import datetime as dt


def shown(moment: dt.datetime | str | None) -> str:
    """A time to the second, in UTC, or `-` for none."""
    if moment is None:
        return "-"
    if isinstance(moment, str):
        try:
            return shown(dt.datetime.fromisoformat(moment))
        except ValueError:
            return moment
    return moment.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
