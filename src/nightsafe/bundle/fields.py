"""The fields of a bundle that come from JSON objects whose digests are stated.

The API process fills the fields with these functions. The delivery process calls them again and compares.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

import msgspec

BODY_PART: Final = "body_part"
"""The member of the settings that only a classic script has."""

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)
_SUBDOMAIN_ENABLED: Final = "subdomain_enabled"


def version_fields(settings: bytes, annotations: bytes, made_at: int) -> dict[str, Any]:
    """Return the fields of a `BundleVersion` that come from its settings, its annotations and its time.

    Args:
        settings: the JSON object of its settings.
        annotations: the JSON object of its annotations.
        made_at: when it was made, in microseconds since 1970 UTC.
    """
    set_fields: dict[str, Any] = msgspec.json.decode(settings)
    return {
        "created_on": (_EPOCH + made_at * _MICROSECOND).isoformat().replace("+00:00", "Z"),
        "tag": msgspec.json.decode(annotations).get("workers/tag", ""),
        "classic": BODY_PART in set_fields,
        "compatibility_date": set_fields.get("compatibility_date", ""),
        "compatibility_flags": tuple(set_fields.get("compatibility_flags", ())),
        "cpu_ms": _cpu_ms(set_fields),
    }


def is_inner(triggers: bytes) -> bool:
    """Return whether requests from outside must not reach a script, because its subdomain has been disabled.

    Args:
        triggers: the JSON object of the script's triggers.
    """
    return not msgspec.json.decode(triggers).get(_SUBDOMAIN_ENABLED, True)


def _cpu_ms(settings: Mapping[str, Any]) -> int | None:
    """Return the CPU limit that a version sets, or None."""
    cpu_ms = settings.get("limits", {}).get("cpu_ms")
    return cpu_ms if isinstance(cpu_ms, int) and not isinstance(cpu_ms, bool) and cpu_ms > 0 else None
