"""Serves `/workers/deployments/by-script/{script_tag}`: deployments of one version each, for wrangler up to 3.7x.

Source: `deployments list`, `deployments view` and `rollback` of wrangler 3.34. A deployment made by an upload has the
id in the upload's answer, which is the version's id. A deployment made without an upload has its own id.
"""

from typing import Any

from nightsafe.api.http.envelope import Reply, success
from nightsafe.api.http.paging import fields_of, page_of
from nightsafe.api.http.path import ACCOUNT
from nightsafe.api.http.request import Call
from nightsafe.api.http.routing import Resource
from nightsafe.api.scripts import views
from nightsafe.api.scripts.visibility import visibility_of
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.permissions import Action
from nightsafe.services.services import Services
from nightsafe.services.versions.deployments import WITHOUT_NEW_VERSION
from nightsafe.services.versions.versions import parse_version_id
from nightsafe.store.scripts import Deployment, Script, ScriptRef, Version

_BY_SCRIPT = f"{ACCOUNT}/workers/deployments/by-script/{{script_tag}}"
_DEFAULT_SIZE = {"per_page": "10"}


def resources(services: Services) -> list[Resource]:
    """Return the routes of this module with their handlers."""

    async def list_deployments(call: Call) -> Reply:
        """GET …/by-script/{script_tag}: the newest deployments, newest first; with `order=asc`, newest last."""
        script, fields = await _find(services, call), fields_of(call.query)
        page = page_of(_DEFAULT_SIZE | fields)
        newest, _ = await services.deployments.list(script.ref, 0, 1)
        part, _ = await services.deployments.list(script.ref, (page.number - 1) * page.size, page.size)
        items = [await _short_json(services, script.ref, deployment) for deployment in part]
        latest = [await _short_json(services, script.ref, deployment) for deployment in newest]
        in_order = items[::-1] if fields.get("order") == "asc" else items
        return success({"latest": latest[0] if latest else None, "items": in_order})

    async def get(call: Call) -> Reply:
        """GET …/by-script/{script_tag}/detail/{deployment_id}: accepts the id of a deployment or of a version."""
        script, deployment_id = await _find(services, call), call.names["deployment_id"]
        try:
            deployment = await services.deployments.get(script.ref, deployment_id)
        except NightsafeError as error:
            if error.code is not Code.DEPLOYMENT_NOT_FOUND:
                raise
            version = await services.versions.get(script.ref, parse_version_id(deployment_id, "deployment_id"))
            return success(views.version(version, await services.versions.bindings(script.ref, version)))
        version = await _version(services, script.ref, deployment)
        version_json = views.version(version, await services.versions.bindings(script.ref, version))
        return success(version_json | _deployment_json(deployment, version))

    return [
        Resource("GET", _BY_SCRIPT, None, list_deployments),
        Resource("GET", f"{_BY_SCRIPT}/detail/{{deployment_id}}", None, get),
    ]


async def _find(services: Services, call: Call) -> Script:
    """Return the script with this tag, if the caller may read it. The path has no script name to check before.

    Raises:
        NightsafeError: SCRIPT_NOT_FOUND, NOT_PERMITTED.
    """
    script = await services.workers.find(call.account_id, call.names["script_tag"])
    if not visibility_of(call)(script.ref):
        raise NightsafeError(Code.NOT_PERMITTED, f"{Action.READ_SCRIPTS} in account {call.account_id} is not granted")
    return script


async def _version(services: Services, ref: ScriptRef, deployment: Deployment) -> Version:
    """Return the version with the largest share of a deployment."""
    version_id, _ = max(deployment.versions, key=lambda share: share[1])
    return await services.versions.get(ref, version_id)


async def _short_json(services: Services, ref: ScriptRef, deployment: Deployment) -> dict[str, Any]:
    """Return a deployment as the list shows it."""
    version = await _version(services, ref, deployment)
    return views.short_version(version) | _deployment_json(deployment, version)


def _deployment_json(deployment: Deployment, version: Version) -> dict[str, Any]:
    """Return the fields that belong to the deployment and not to its version: id, author, time and reason."""
    by_itself = deployment.triggered_by in WITHOUT_NEW_VERSION
    metadata: dict[str, Any] = views.short_version(version)["metadata"]
    return {
        "id": views.identifier(deployment.id if by_itself else version.id),
        "metadata": metadata
        | {
            "created_on": views.time(deployment.created_on),
            "source": deployment.source,
            "author_id": deployment.author_id,
            "author_email": deployment.author_email,
        },
        **views.annotated(deployment.annotations, deployment.triggered_by),
    }
