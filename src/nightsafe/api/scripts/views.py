"""The JSON of scripts and versions, the same on every page that shows one.

Source: the script and version objects of the Cloudflare v4 API's specification, and the fields that wrangler reads
of them. No code is run here and none is taken apart, so `handlers` are not known: the list is empty.
"""

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from nightsafe.bundle.compatibility import DEFAULT_DATE
from nightsafe.services.scripts.modules import BODY_PART
from nightsafe.store.scripts import Binding, Script, Version

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_VERSION_TAGS = "version_tags"


def time(microseconds: int) -> str:
    """RFC 3339 with microseconds, which lists are sorted by as text, too."""
    moment = _EPOCH + microseconds * _MICROSECOND
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def identifier(raw: bytes) -> str:
    """The 16 bytes of a UUID as text."""
    return str(uuid.UUID(bytes=raw))


def versioned(settings: bytes) -> dict[str, Any]:
    """The settings of a version as they came, without what only Nightsafe itself keeps among them."""
    fields: dict[str, Any] = msgspec.json.decode(settings)
    fields.pop(BODY_PART, None)
    return fields


def date_of(settings: dict[str, Any]) -> str:
    """The compatibility date of a version: without one of its own, that which it is run with."""
    return settings.get("compatibility_date") or DEFAULT_DATE


def bindings(every: Sequence[Binding]) -> list[msgspec.Raw]:
    """Bindings as reads show them: secrets without their values."""
    return [msgspec.Raw(one.shown) for one in every]


def script(one: Script) -> dict[str, Any]:
    """A script as lists and uploads show it."""
    settings = versioned(one.settings)
    of_script = msgspec.json.decode(one.script_settings)
    placement = settings.get("placement") or {}
    return {
        "id": one.ref.name,
        "tag": one.id,
        "tags": of_script.get("tags"),
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
        "logpush": of_script.get("logpush", False),
        "observability": of_script.get("observability"),
        "tail_consumers": of_script.get("tail_consumers"),
        "placement": placement,
        **_mode(placement),
        **_migration_tag(one.triggers),
    }


def short_version(one: Version) -> dict[str, Any]:
    """A version without what it is made of."""
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
    """A version with its bindings, its code's tag and what it runs under."""
    settings = versioned(one.settings)
    resources = {
        "bindings": bindings(its_bindings),
        "script": _code(one, settings),
        "script_runtime": _runtime(settings),
    }
    cache = {"cache_options": settings["cache_options"]} if "cache_options" in settings else {}
    return short_version(one) | cache | {"resources": resources}


def annotated(annotations: bytes, triggered_by: str) -> dict[str, Any]:
    """The member `annotations` of a version or deployment and, where it has some, `version_tags`."""
    fields: dict[str, Any] = msgspec.json.decode(annotations)
    tags = {_VERSION_TAGS: fields.pop(_VERSION_TAGS)} if _VERSION_TAGS in fields else {}
    return {"annotations": fields | {"workers/triggered_by": triggered_by}, **tags}


def _code(one: Version, settings: dict[str, Any]) -> dict[str, Any]:
    """The member `resources.script`."""
    code = {
        "etag": one.etag,
        "handlers": [],
        "has_modules": has_modules(one.settings),
        "last_deployed_from": one.source,
    }
    placement = settings.get("placement") or {}
    return code | ({"placement": placement} if placement else {}) | _mode(placement)


def _mode(placement: dict[str, Any]) -> dict[str, Any]:
    """The placement's mode by itself, as wrangler reads it, where there is one."""
    return {"placement_mode": placement["mode"]} if "mode" in placement else {}


def _migration_tag(triggers: bytes) -> dict[str, Any]:
    """The tag that a script's Durable Object migrations have come to, where there is one."""
    fields = msgspec.json.decode(triggers)
    return {"migration_tag": fields["migration_tag"]} if "migration_tag" in fields else {}


def _runtime(settings: dict[str, Any]) -> dict[str, Any]:
    """The member `resources.script_runtime`: a setting that was not given is not in it."""
    given = {name: settings[name] for name in ("limits", "exports") if name in settings}
    return given | {
        "compatibility_date": date_of(settings),
        "compatibility_flags": settings.get("compatibility_flags") or [],
        "usage_model": settings.get("usage_model", "standard"),
    }


def has_modules(settings: bytes) -> bool:
    """Whether the script is made of modules, and is no classic one."""
    return BODY_PART not in msgspec.json.decode(settings)
