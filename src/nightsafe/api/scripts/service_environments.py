"""Serves `/workers/services/{script_name}` and its environments: an older API for scripts, which wrangler uses."""

from typing import Any

from nightsafe.api.http.envelope import Reply, success
from nightsafe.api.http.path import ACCOUNT, DEFAULT_ENVIRONMENT, ENVIRONMENT
from nightsafe.api.http.request import Call
from nightsafe.api.http.routing import Resource
from nightsafe.api.scripts import content, scripts, settings, triggers, views
from nightsafe.api.secrets import secrets
from nightsafe.api.unsupported import routes
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.permissions import Action
from nightsafe.services.services import Services
from nightsafe.store.scripts import Script

_SERVICE = f"{ACCOUNT}/workers/services/{{script_name}}"


def resources(services: Services) -> list[Resource]:
    """Return the routes of this module with their handlers. An environment has all routes of its script below it."""

    async def get_service(call: Call) -> Reply:
        """GET /workers/services/{script_name}."""
        return success(_service(await _script(services, call)))

    async def delete_service(call: Call) -> Reply:
        """DELETE /workers/services/{script_name}. With `force`, also deletes a script that other scripts need."""
        await _script(services, call)
        await scripts.delete_script(services, call, call.script)
        return success(None)

    async def get_environment(call: Call) -> Reply:
        """GET …/environments/{environment}."""
        return success(_environment(await _script(services, call), call.names["environment"]))

    return [
        Resource("GET", _SERVICE, Action.READ_SCRIPTS, get_service),
        Resource("DELETE", _SERVICE, Action.WRITE_SCRIPTS, delete_service),
        Resource("GET", ENVIRONMENT, Action.READ_SCRIPTS, get_environment),
        *scripts.upload_routes(services, ENVIRONMENT),
        *scripts.deletion_routes(services, ENVIRONMENT),
        *secrets.resources(services, ENVIRONMENT),
        *settings.resources(services, ENVIRONMENT),
        *content.resources(services, ENVIRONMENT),
        *triggers.script_routes(services, ENVIRONMENT),
        *routes.script_routes(services, ENVIRONMENT),
    ]


async def _script(services: Services, call: Call) -> Script:
    """Return the script of the service or environment."""
    try:
        return await services.scripts.get(call.script)
    except NightsafeError as error:
        if error.code is not Code.SCRIPT_NOT_FOUND:
            raise
        raise NightsafeError(Code.SERVICE_NOT_FOUND, call.script.name) from None


def _service(script: Script) -> dict[str, Any]:
    """Return a service with its default environment. Its other environments look like unrelated scripts."""
    times = _times(script)
    environment_json = {"environment": DEFAULT_ENVIRONMENT, **times, "script_tag": script.id}
    script_json = views.script(script)
    return {
        "id": script.ref.name,
        **times,
        "usage_model": script_json["usage_model"],
        "default_environment": _environment(script, DEFAULT_ENVIRONMENT),
        "environments": [environment_json],
    }


def _environment(script: Script, name: str) -> dict[str, Any]:
    """Return one environment with its script. wrangler needs the tags to be a list, even an empty one."""
    script_json = views.script(script)
    return {"environment": name, **_times(script), "script": script_json | {"tags": script_json["tags"] or []}}


def _times(script: Script) -> dict[str, str]:
    """Return the times of a script's creation and last change."""
    return {"created_on": views.time(script.created_on), "modified_on": views.time(script.modified_on)}
