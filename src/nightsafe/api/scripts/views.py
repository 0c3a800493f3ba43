"""Builds the JSON of scripts and versions, the same for every route that shows one.

Source: the script and version objects in the specification of the Cloudflare v4 API, and the fields that wrangler
reads. The API does not run or analyse code, so the list of `handlers` is empty.
"""

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from nightsafe.bundle.compatibility import DEFAULT_DATE
from nightsafe.bundle.fields import BODY_PART
from nightsafe.store.scripts import Binding, Script, Version

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_VERSION_TAGS = "version_tags"


def time(microseconds: int) -> str:
    """Format a time as RFC 3339 with microseconds, so that times sort correctly as text."""
    moment = _EPOCH + microseconds * _MICROSECOND
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def identifier(raw: bytes) -> str:
    """Format the 16 bytes of a UUID as text."""
    return str(uuid.UUID(bytes=raw))


def versioned(settings: bytes) -> dict[str, Any]:
    """Return the settings of a version as they arrived, without the members that Nightsafe adds."""
    fields: dict[str, Any] = msgspec.json.decode(settings)
    fields.pop(BODY_PART, None)
    return fields


def date_of(settings: dict[str, Any]) -> str:
    """Return the compatibility date of a version, or the default date that it runs with."""
    return settings.get("compatibility_date") or DEFAULT_DATE


def bindings(every: Sequence[Binding]) -> list[msgspec.Raw]:
    """Return bindings as the API shows them: secrets without their values."""
    return [msgspec.Raw(binding.shown) for binding in every]


def script(one: Script) -> dict[str, Any]:
    """Return a script as lists and uploads show it."""
    settings = versioned(one.settings)
    script_level = msgspec.json.decode(one.script_settings)
    placement = settings.get("placement") or {}
    return {
        "id": one.ref.name,
        "tag": one.id,
        "tags": script_level.get("tags"),
        "etag": one.etag,
        "handlers": [],
        "has_assets": False,
        "has_modules": has_modules(one.settings),
        "created_on": time(one.created_on),
        "modified_on": time(one.modified_on),
        "compatibility_date": date_of(settings),
        "compatibility_flags": settings.get("compatibility_flags") or [],
        "usage_model": settings.get("usage_model", "standard"),
        "last_deployed_from": one.source,
        "logpush": script_level.get("logpush", False),
        "observability": script_level.get("observability"),
        "tail_consumers": script_level.get("tail_consumers"),
        "placement": placement,
        **_placement_mode(placement),
        **_migration_tag(one.triggers),
    }


def short_version(one: Version) -> dict[str, Any]:
    """Return a version without its contents."""
    return {
        "id": identifier(one.id),
        "number": one.number,
        "metadata": {
            "created_on": time(one.created_on),
            "modified_on": time(one.created_on),
            "source": one.source,
            "author_id": one.author_id,
            "author_email": one.author_email,
            "hasPreview": False,
            "has_preview": False,
        },
        **annotated(one.annotations, one.triggered_by),
    }


def version(one: Version, its_bindings: Sequence[Binding]) -> dict[str, Any]:
    """Return a version with its bindings, its code's tag and its runtime settings."""
    settings = versioned(one.settings)
    resources = {
        "bindings": bindings(its_bindings),
        "script": _script_part(one, settings),
        "script_runtime": _runtime_fields(settings),
    }
    cache = {"cache_options": settings["cache_options"]} if "cache_options" in settings else {}
    return short_version(one) | cache | {"resources": resources}


def annotated(annotations: bytes, triggered_by: str) -> dict[str, Any]:
    """Return the member `annotations` of a version or deployment and, if it has tags, `version_tags`."""
    fields: dict[str, Any] = msgspec.json.decode(annotations)
    tags = {_VERSION_TAGS: fields.pop(_VERSION_TAGS)} if _VERSION_TAGS in fields else {}
    return {"annotations": fields | {"workers/triggered_by": triggered_by}, **tags}


def _script_part(version: Version, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the member `resources.script`."""
    code = {
        "etag": version.etag,
        "handlers": [],
        "has_modules": has_modules(version.settings),
        "last_deployed_from": version.source,
    }
    placement = settings.get("placement") or {}
    return code | ({"placement": placement} if placement else {}) | _placement_mode(placement)


def _placement_mode(placement: dict[str, Any]) -> dict[str, Any]:
    """Return the placement's mode, if any, in the member that wrangler reads."""
    return {"placement_mode": placement["mode"]} if "mode" in placement else {}


def _migration_tag(triggers: bytes) -> dict[str, Any]:
    """Return the tag of a script's last Durable Object migration, if there is one."""
    fields = msgspec.json.decode(triggers)
    return {"migration_tag": fields["migration_tag"]} if "migration_tag" in fields else {}


def _runtime_fields(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the member `resources.script_runtime`. It has `limits` and `exports` only if they are set."""
    present = {name: settings[name] for name in ("limits", "exports") if name in settings}
    return present | {
        "compatibility_date": date_of(settings),
        "compatibility_flags": settings.get("compatibility_flags") or [],
        "usage_model": settings.get("usage_model", "standard"),
    }


def has_modules(settings: bytes) -> bool:
    """Tell whether the script consists of modules, and is not a classic script."""
    return BODY_PART not in msgspec.json.decode(settings)
