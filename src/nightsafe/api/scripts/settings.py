"""Serves `…/{script_name}/settings`, `/script-settings`, `/bindings` and `/usage-model`."""

from typing import Any

import msgspec

from nightsafe.api.http.envelope import Reply, success
from nightsafe.api.http.path import SCRIPT
from nightsafe.api.http.request import Call
from nightsafe.api.http.routing import Resource
from nightsafe.api.scripts import views
from nightsafe.api.scripts.upload_form import read_json_part
from nightsafe.identity.permissions import Action
from nightsafe.services.scripts.settings import AllSettings, parse_settings, parse_usage_model
from nightsafe.services.services import Services
from nightsafe.store.scripts import Script

_VERSION_DEFAULTS: dict[str, Any] = {
    "placement": {},
    "compatibility_flags": [],
    "usage_model": "standard",
}
_SCRIPT_DEFAULTS: dict[str, Any] = {"logpush": False, "tags": [], "tail_consumers": []}


def resources(services: Services, at: str = SCRIPT) -> list[Resource]:
    """Return the routes of this module with their handlers, below the path of a script."""

    async def get(call: Call) -> Reply:
        """GET …/settings."""
        return success(to_json(await services.settings.get(call.script)))

    async def patch(call: Call) -> Reply:
        """PATCH …/settings."""
        patch = parse_settings(await read_json_part(call, "settings"), call.limits)
        changed = await services.settings.patch(call.caller, call.script, patch)
        return success(to_json(changed), changed.notices)

    async def bindings(call: Call) -> Reply:
        """GET …/bindings."""
        return success(views.bindings((await services.settings.get(call.script)).bindings))

    async def get_script_level(call: Call) -> Reply:
        """GET …/script-settings."""
        return success(script_settings_json(await services.scripts.get(call.script)))

    async def patch_script_level(call: Call) -> Reply:
        """PATCH …/script-settings."""
        body = await call.json(merge_patch=True)
        script, notices = await services.settings.patch_script_level(call.caller, call.script, body)
        return success(script_settings_json(script), notices)

    return [
        Resource("GET", f"{at}/settings", Action.READ_SCRIPTS, get),
        Resource("PATCH", f"{at}/settings", Action.WRITE_SCRIPTS, patch),
        Resource("GET", f"{at}/bindings", Action.READ_SCRIPTS, bindings),
        Resource("GET", f"{at}/script-settings", Action.READ_SCRIPTS, get_script_level),
        Resource("PATCH", f"{at}/script-settings", Action.WRITE_SCRIPTS, patch_script_level),
        *_usage_model(services, at),
    ]


def _usage_model(services: Services, at: str) -> list[Resource]:
    """Return the routes of the usage model, the only setting with a path of its own."""

    async def get(call: Call) -> Reply:
        """GET …/usage-model."""
        return success(_usage_model_of(await services.settings.get(call.script)))

    async def put(call: Call) -> Reply:
        """PUT …/usage-model."""
        patch = parse_usage_model(await call.json())
        return success(_usage_model_of(await services.settings.patch(call.caller, call.script, patch)))

    return [
        Resource("GET", f"{at}/usage-model", Action.READ_SCRIPTS, get),
        Resource("PUT", f"{at}/usage-model", Action.WRITE_SCRIPTS, put),
    ]


def script_settings_json(script: Script) -> dict[str, Any]:
    """Return the settings of the script itself."""
    own: dict[str, Any] = msgspec.json.decode(script.script_settings)
    return _SCRIPT_DEFAULTS | own


def to_json(settings: AllSettings) -> dict[str, Any]:
    """Return the settings of both levels, and the bindings without secret values."""
    versioned = views.versioned(settings.version.settings)
    return (
        _VERSION_DEFAULTS
        | versioned
        | {"compatibility_date": views.date_of(versioned)}
        | script_settings_json(settings.script)
        | views.annotated(settings.version.annotations, settings.version.triggered_by)
        | {"bindings": views.bindings(settings.bindings)}
    )


def _usage_model_of(settings: AllSettings) -> dict[str, Any]:
    """Return the usage model as its route shows it."""
    return {"usage_model": to_json(settings)["usage_model"]}
