"""The settings beside bindings, with their types: version settings and script settings.

Other members are not stored, because answers would show them.

Source: the script upload's metadata and the script-level settings in the Cloudflare v4 API's specification, and the
requests that wrangler sends.
"""

import datetime as dt
from typing import Any

import msgspec

from nightsafe.bindings.json_fields import type_name
from nightsafe.errors import Code, NightsafeError
from nightsafe.services.scripts.setting_forms import CONSUMERS, check_consumers, check_forms

VERSION_LEVEL: dict[str, type] = {
    "assets": dict,
    "cache_options": dict,
    "compatibility_date": str,
    "compatibility_flags": list,
    "containers": list,
    "exports": dict,
    "limits": dict,
    "package_dependencies": list,
    "placement": dict,
    "usage_model": str,
}
"""Settings that belong to a version."""

SCRIPT_LEVEL: dict[str, type] = {
    "logpush": bool,
    "observability": dict,
    "streaming_tail_consumers": list,
    "tags": list,
    "tail_consumers": list,
}
"""Settings that belong to the script, not to a version."""

MAX_TAGS = 10
CPU_MS = (10, 300_000)
"""The smallest and the largest CPU limit that a Worker may set, in milliseconds."""

MAX_TAG_LENGTH = 1024
_MAX_SETTINGS_BYTES = 64 * 1024


def version_settings(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the version settings among the members of an object; null counts as absent.

    Raises:
        NightsafeError: INVALID, with a pointer to the member, or UNSUPPORTED for static assets.
    """
    settings = _known_settings(fields, VERSION_LEVEL)
    if settings.get("compatibility_date") and not _is_date(settings["compatibility_date"]):
        raise NightsafeError(
            Code.INVALID, "'compatibility_date' must be a date in the form YYYY-MM-DD", "/compatibility_date"
        )
    if settings.get("compatibility_date", "") > (today := dt.datetime.now(dt.UTC).date().isoformat()):
        sentence = f"'compatibility_date' is in the future: today's date, in UTC, is {today}"
        raise NightsafeError(Code.INVALID, sentence, "/compatibility_date")
    _need_strings(settings, "compatibility_flags")
    check_forms(settings)
    _check_cpu(settings.get("limits", {}))
    if settings.get("assets", {}).get("jwt") is not None:
        raise NightsafeError(Code.UNSUPPORTED, "keep static assets", "/assets/jwt")
    if "keep_assets" in fields and not isinstance(fields["keep_assets"], bool | None):
        raise NightsafeError(Code.INVALID, "'keep_assets' must be a boolean", "/keep_assets")
    return settings


def script_settings(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the script settings among the members of an object; null counts as absent.

    Raises:
        NightsafeError: INVALID, with a pointer to the member.
    """
    settings = _known_settings(fields, SCRIPT_LEVEL)
    _need_strings(settings, "tags")
    tags = settings.get("tags", ())
    if len(tags) > MAX_TAGS:
        raise NightsafeError(Code.INVALID, f"a Worker may have at most {MAX_TAGS} tags", "/tags")
    if any(len(tag) > MAX_TAG_LENGTH or "," in tag or "&" in tag for tag in tags):
        raise NightsafeError(
            Code.INVALID,
            f"a tag may have up to {MAX_TAG_LENGTH} characters, and must not contain ',' or '&'",
            "/tags",
        )
    for name in CONSUMERS:
        check_consumers(settings.get(name, []), f"/{name}")
    check_forms(settings)
    return settings


def _check_cpu(limits: dict[str, Any]) -> None:
    """Refuse a CPU limit outside the allowed range.

    Raises:
        NightsafeError: INVALID.
    """
    cpu_ms = limits.get("cpu_ms")
    minimum, maximum = CPU_MS
    if cpu_ms is None or (isinstance(cpu_ms, int) and not isinstance(cpu_ms, bool) and minimum <= cpu_ms <= maximum):
        return
    sentence = f"'limits.cpu_ms' must be a whole number of milliseconds from {minimum} to {maximum}"
    raise NightsafeError(Code.INVALID, sentence, "/limits/cpu_ms")


def encode_settings(settings: dict[str, Any]) -> bytes:
    """Return settings as JSON.

    Raises:
        NightsafeError: INVALID, if they are too large.
    """
    body = msgspec.json.encode(settings)
    if len(body) > _MAX_SETTINGS_BYTES:
        raise NightsafeError(Code.INVALID, f"the settings are larger than {_MAX_SETTINGS_BYTES} bytes as JSON", "")
    return body


def _known_settings(fields: dict[str, Any], settings: dict[str, type]) -> dict[str, Any]:
    """Return the settings of a table that are present and not null, with their types checked."""
    present = {name: fields[name] for name in settings if fields.get(name) is not None}
    for name, value in present.items():
        if not isinstance(value, settings[name]):
            raise NightsafeError(
                Code.INVALID, f"'{name}' must be {type_name(settings[name]())}, not {type_name(value)}", f"/{name}"
            )
    return present


def _need_strings(settings: dict[str, Any], name: str) -> None:
    """Refuse a list that has other items than strings."""
    if not all(isinstance(item, str) for item in settings.get(name, ())):
        raise NightsafeError(Code.INVALID, f"'{name}' may hold only strings", f"/{name}")


def _is_date(text: str) -> bool:
    """Return whether a text is a date in the form YYYY-MM-DD."""
    try:
        return dt.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
