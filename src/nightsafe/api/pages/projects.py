"""Serves `/pages/projects`: the variables and secrets of Pages projects, and their settings.

Nightsafe does not build or serve the projects.
"""

import uuid
from typing import Any

import msgspec

from nightsafe.api.http.envelope import Reply, success
from nightsafe.api.http.paging import fields_of, page_of, page_reply
from nightsafe.api.http.path import ACCOUNT
from nightsafe.api.http.request import Call, read_loose_json
from nightsafe.api.http.routing import Resource
from nightsafe.api.scripts import views
from nightsafe.api.unsupported.routes import unsupported
from nightsafe.bindings.json_fields import need_object, need_string, optional_string
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.permissions import Action
from nightsafe.services.pages.fields import ENVIRONMENTS, parse_project
from nightsafe.services.pages.projects import Project, Projects
from nightsafe.services.services import Services
from nightsafe.store.collections import Item
from nightsafe.store.turns import in_turns

_PROJECTS = f"{ACCOUNT}/pages/projects"
_PROJECT = f"{_PROJECTS}/{{project_name}}"
_TURN = 20
_CONFIG: dict[str, Any] = {
    "always_use_latest_compatibility_date": False,
    "build_image_major_version": 3,
    "compatibility_date": "",
    "compatibility_flags": [],
    "fail_open": False,
    "usage_model": "standard",
}


def resources(services: Services) -> list[Resource]:
    """Return the routes of this module with their handlers."""
    projects = services.projects

    async def list_projects(call: Call) -> Reply:
        """GET /pages/projects."""
        projects_, page = await projects.list(call.account_id), page_of(fields_of(call.query))
        collections = in_turns(page.of(projects_), _TURN)
        items = [to_json(await projects.with_variables(collection)) async for collection in collections]
        return page_reply(items, page, len(projects_))

    async def create(call: Call) -> Reply:
        """POST /pages/projects."""
        fields = need_object(await read_loose_json(call), "", "the body")
        name, patch = need_string(fields, "name", ""), parse_project(fields, call.limits)
        return success(to_json(await projects.create(call.caller, call.account_id, name, patch)))

    async def get(call: Call) -> Reply:
        """GET /pages/projects/{project_name}."""
        return success(to_json(await projects.get(call.account_id, call.names["project_name"])))

    async def edit(call: Call) -> Reply:
        """PATCH /pages/projects/{project_name}."""
        fields, name = need_object(await read_loose_json(call), "", "the body"), call.names["project_name"]
        if optional_string(fields, "name", "") not in {None, name}:
            raise NightsafeError(
                Code.UNSUPPORTED, "rename Pages projects: secrets are sealed to the name of their project", "/name"
            )
        return success(
            to_json(await projects.edit(call.caller, call.account_id, name, parse_project(fields, call.limits)))
        )

    async def delete(call: Call) -> Reply:
        """DELETE /pages/projects/{project_name}."""
        await projects.delete(call.caller, call.account_id, call.names["project_name"])
        return success(None)

    return [
        Resource("GET", _PROJECTS, Action.READ_PAGES, list_projects),
        Resource("POST", _PROJECTS, Action.WRITE_PAGES, create),
        Resource("GET", _PROJECT, Action.READ_PAGES, get),
        Resource("PATCH", _PROJECT, Action.WRITE_PAGES, edit),
        Resource("DELETE", _PROJECT, Action.WRITE_PAGES, delete),
        *_deployment_routes(projects),
    ]


def _deployment_routes(projects: Projects) -> list[Resource]:
    """Return the routes of deployments and domains, whose lists are always empty."""

    async def list_none(call: Call) -> Reply:
        """GET …/deployments and …/domains: always an empty list."""
        await projects.get(call.account_id, call.names["project_name"])
        return page_reply([], page_of(fields_of(call.query)), 0)

    return [
        Resource("GET", f"{_PROJECT}/deployments", Action.READ_PAGES, list_none),
        Resource("POST", f"{_PROJECT}/deployments", Action.WRITE_PAGES, unsupported("deploy Pages projects")),
        Resource("GET", f"{_PROJECT}/domains", Action.READ_PAGES, list_none),
        Resource("POST", f"{_PROJECT}/domains", Action.WRITE_PAGES, unsupported("serve Pages projects on domains")),
        Resource("GET", f"{_PROJECT}/upload-token", Action.WRITE_PAGES, unsupported("keep files of Pages projects")),
        Resource("POST", f"{_PROJECT}/purge_build_cache", Action.WRITE_PAGES, unsupported("build Pages projects")),
    ]


def to_json(project: Project) -> dict[str, Any]:
    """Return a project as clients need it. Its subdomain never resolves (RFC 2606): Nightsafe does not serve it."""
    collection = project.collection
    body = msgspec.json.decode(collection.body)
    return {
        "id": str(uuid.UUID(hex=collection.id)),
        "name": collection.name,
        "subdomain": f"{collection.name}.invalid",
        "domains": [],
        "source": None,
        "build_config": _members_below("build_config", body),
        "deployment_configs": {
            environment: _config(
                _members_below(environment, body), [item for item in project.items if item.environment == environment]
            )
            for environment in ENVIRONMENTS
        },
        "latest_deployment": None,
        "canonical_deployment": None,
        "created_on": views.time(collection.created_on),
        "production_branch": body.get("production_branch", ""),
        "production_script_name": f"pages-worker--{collection.id}-production",
        "preview_script_name": f"pages-worker--{collection.id}-preview",
        "uses_functions": False,
        "framework": "",
        "framework_version": "",
    }


def _config(members: dict[str, Any], variables: list[Item]) -> dict[str, Any]:
    """Return the settings, bindings and variables of an environment, with empty values for secrets."""
    config = {"env_vars": {item.name: msgspec.Raw(item.shown) for item in variables}} | _CONFIG
    for path, value in members.items():
        member, slash, name = path.partition("/")
        if slash:
            config.setdefault(member, {})[name] = value
        else:
            config[member] = value
    return config


def _members_below(place: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return the members stored below a path, keyed by the rest of their path."""
    return {path.removeprefix(f"{place}/"): value for path, value in body.items() if path.startswith(f"{place}/")}
