"""Serves `…/{script_name}/deployments` and `/deployments/{deployment_id}`."""

from typing import Any

from nightsafe.api.http.envelope import Reply, success
from nightsafe.api.http.paging import fields_of, page_of, page_reply_of
from nightsafe.api.http.path import SCRIPT
from nightsafe.api.http.request import Call
from nightsafe.api.http.routing import Resource
from nightsafe.api.http.times import parse_time
from nightsafe.api.scripts import views
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.permissions import Action
from nightsafe.services.services import Services
from nightsafe.services.versions.deployments import parse_deployment_plan
from nightsafe.store.scripts import ALWAYS, Deployment, Period

_DEFAULT_SIZE = {"per_page": "10"}
"""The default page size, small because wrangler sends no page size, and then fetches each version of each deployment.
"""


def resources(services: Services, at: str = SCRIPT) -> list[Resource]:
    """Return the routes of this module with their handlers, below the path of a script."""

    async def list_deployments(call: Call) -> Reply:
        """GET …/deployments: the list, under both names that clients read."""
        fields = fields_of(call.query)
        page = page_of(_DEFAULT_SIZE | fields)
        part, total = await services.deployments.list(
            call.script, (page.number - 1) * page.size, page.size, _period(fields)
        )
        items = [to_json(deployment) for deployment in part]
        return page_reply_of({"deployments": items, "items": items}, page, len(items), total)

    async def create(call: Call) -> Reply:
        """POST …/deployments."""
        plan = parse_deployment_plan(await call.json(), call.limits)
        force = call.has_parameter("force", "true")
        deployment, notices = await services.deployments.create(call.caller, call.script, plan, force=force)
        return success(to_json(deployment), notices)

    async def get(call: Call) -> Reply:
        """GET …/deployments/{deployment_id}."""
        return success(to_json(await services.deployments.get(call.script, call.names["deployment_id"])))

    async def delete(call: Call) -> Reply:
        """DELETE …/deployments/{deployment_id}."""
        await services.deployments.refuse_delete(call.script, call.names["deployment_id"])
        return success(None)

    deployment_path = f"{at}/deployments/{{deployment_id}}"
    return [
        Resource("GET", f"{at}/deployments", Action.READ_SCRIPTS, list_deployments),
        Resource("POST", f"{at}/deployments", Action.WRITE_SCRIPTS, create),
        Resource("GET", deployment_path, Action.READ_SCRIPTS, get),
        Resource("DELETE", deployment_path, Action.WRITE_SCRIPTS, delete),
    ]


def _period(fields: dict[str, str]) -> Period:
    """Return the period that a query asks for."""
    return Period(_moment(fields, "since", ALWAYS.since), _moment(fields, "until", ALWAYS.until))


def _moment(fields: dict[str, str], name: str, default: int) -> int:
    """Return a time in the query, or the default."""
    if name not in fields:
        return default
    try:
        return parse_time(fields[name])
    except ValueError:
        raise NightsafeError(
            Code.INVALID, f"'{name}' must be an RFC 3339 time such as 2030-01-31T12:00:00Z"
        ) from None


def to_json(deployment: Deployment) -> dict[str, Any]:
    """Return a deployment as JSON."""
    return {
        "id": views.identifier(deployment.id),
        "created_on": views.time(deployment.created_on),
        "source": deployment.source,
        "strategy": "percentage",
        "author_id": deployment.author_id,
        "author_email": deployment.author_email,
        "annotations": views.annotated(deployment.annotations, deployment.triggered_by)["annotations"],
        "versions": [
            {"version_id": views.identifier(version_id), "percentage": _number(percentage)}
            for version_id, percentage in deployment.versions
        ],
    }


def _number(percentage: float) -> float:
    """Return a whole percentage as an integer, so that JSON shows no fraction."""
    return int(percentage) if percentage.is_integer() else percentage
