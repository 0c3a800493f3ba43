"""The settings there are beside bindings, with their types: those of a version and those of a script.

Nothing else is kept: it would be shown again. Source: the script upload's metadata and the script-level settings in
the Cloudflare v4 API's specification, and what wrangler sends.
"""

import datetime as dt
from typing import Any

import msgspec

from nightsafe.bindings.json_fields import type_name
from nightsafe.errors import Code, NightsafeError
from nightsafe.services.scripts.setting_forms import check_consumers, check_forms

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
"""Settings of a version."""

SCRIPT_LEVEL: dict[str, type] = {
    "logpush": bool,
    "observability": dict,
    "streaming_tail_consumers": list,
    "tags": list,
    "tail_consumers": list,
}
"""Settings that belong to the script and not to a version."""

MAX_TAGS = 10
CPU_MS = (10, 300_000)
"""The least and the most milliseconds of CPU time that a Worker may ask for."""

MAX_TAG_LENGTH = 1024
_MAX_SETTINGS_BYTES = 64 * 1024


def version_settings(fields: dict[str, Any]) -> dict[str, Any]:
    """The versioned ones among the members of an object; null counts as absent.

    Raises:
        NightsafeError: INVALID, with a pointer to the member, or UNSUPPORTED for static assets.
    """
    kept = _known(fields, VERSION_LEVEL)
    if kept.get("compatibility_date") and not _is_date(kept["compatibility_date"]):
        raise NightsafeError(Code.INVALID, "'compatibility_date' must be a date as YYYY-MM-DD", "/compatibility_date")
    if kept.get("compatibility_date", "") > (today := dt.datetime.now(dt.UTC).date().isoformat()):
        sentence = f"'compatibility_date' is in the future: today's date, in UTC, is {today}"
        raise NightsafeError(Code.INVALID, sentence, "/compatibility_date")
    _need_strings(kept, "compatibility_flags")
    check_forms(kept)
    _check_cpu(kept.get("limits", {}))
    if kept.get("assets", {}).get("jwt") is not None:
        raise NightsafeError(Code.UNSUPPORTED, "keep static assets", "/assets/jwt")
    if "keep_assets" in fields and not isinstance(fields["keep_assets"], bool | None):
        raise NightsafeError(Code.INVALID, "'keep_assets' must be a boolean", "/keep_assets")
    return kept


def script_settings(fields: dict[str, Any]) -> dict[str, Any]:
    """Those of the script among the members of an object; null counts as absent.

    Raises:
        NightsafeError: INVALID, with a pointer to the member.
    """
    kept = _known(fields, SCRIPT_LEVEL)
    _need_strings(kept, "tags")
    tags = kept.get("tags", ())
    if len(tags) > MAX_TAGS:
        raise NightsafeError(Code.INVALID, f"a Worker may have {MAX_TAGS} tags at most", "/tags")
    if any(len(tag) > MAX_TAG_LENGTH or "," in tag or "&" in tag for tag in tags):
        raise NightsafeError(
            Code.INVALID, f"a tag may have up to {MAX_TAG_LENGTH} characters, and neither ',' nor '&'", "/tags"
        )
    for name in ("tail_consumers", "streaming_tail_consumers"):
        check_consumers(kept.get(name, []), f"/{name}")
    check_forms(kept)
    return kept


def _check_cpu(limits: dict[str, Any]) -> None:
    """Refuse a limit of CPU time that no Worker may have."""
    asked = limits.get("cpu_ms")
    least, most = CPU_MS
    if asked is None or (isinstance(asked, int) and not isinstance(asked, bool) and least <= asked <= most):
        return
    sentence = f"'limits.cpu_ms' must be a whole number of milliseconds from {least} to {most}"
    raise NightsafeError(Code.INVALID, sentence, "/limits/cpu_ms")


def encoded(settings: dict[str, Any]) -> bytes:
    """Settings as JSON.

    Raises:
        NightsafeError: INVALID, when they are too large.
    """
    body = msgspec.json.encode(settings)
    if len(body) > _MAX_SETTINGS_BYTES:
        raise NightsafeError(Code.INVALID, f"the settings are over {_MAX_SETTINGS_BYTES} bytes of JSON", "")
    return body


def _known(fields: dict[str, Any], settings: dict[str, type]) -> dict[str, Any]:
    """The settings of a table that are there and not null, each of the type it must have."""
    kept = {name: fields[name] for name in settings if fields.get(name) is not None}
    for name, value in kept.items():
        if not isinstance(value, settings[name]):
            raise NightsafeError(
                Code.INVALID, f"'{name}' must be {type_name(settings[name]())}, not {type_name(value)}", f"/{name}"
            )
    return kept


def _need_strings(kept: dict[str, Any], name: str) -> None:
    """Refuse a list that holds anything but strings."""
    if not all(isinstance(one, str) for one in kept.get(name, ())):
        raise NightsafeError(Code.INVALID, f"'{name}' may hold only strings", f"/{name}")


def _is_date(text: str) -> bool:
    """Whether a text is a date as YYYY-MM-DD."""
    try:
        return dt.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
