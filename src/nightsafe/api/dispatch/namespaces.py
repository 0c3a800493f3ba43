"""Serves `/workers/dispatch/namespaces` and the scripts in them.

A script in a namespace has the same routes as any other script. Each route first checks that the namespace exists:
clients react to a missing script by creating it, which must not happen in a missing namespace.
"""

import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec.structs import replace

from nightsafe.api.http.envelope import Reply, list_reply, success
from nightsafe.api.http.paging import fields_of, whole_number
from nightsafe.api.http.path import ACCOUNT, DISPATCHED, NAMESPACE
from nightsafe.api.http.request import Call
from nightsafe.api.http.routing import Resource
from nightsafe.api.scripts import content, scripts, settings, views
from nightsafe.api.secrets import secrets
from nightsafe.api.unsupported.routes import unsupported
from nightsafe.bindings.json_fields import need_object, need_string
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.permissions import Action
from nightsafe.services.dispatch.namespaces import Namespace, Namespaces, check_tags
from nightsafe.services.services import Services
from nightsafe.store.scripts import Script

_MAX_DELETED = 1000
"""The most scripts that one request deletes. Its answer says whether there are more."""

_NAMESPACES = f"{ACCOUNT}/workers/dispatch/namespaces"


def resources(services: Services) -> list[Resource]:
    """Return the routes of this module with their handlers."""
    namespaces = services.namespaces

    async def list_namespaces(call: Call) -> Reply:
        """GET …/namespaces."""
        return success([to_json(namespace) for namespace in await namespaces.list(call.account_id)])

    async def create(call: Call) -> Reply:
        """POST …/namespaces."""
        name = need_string(need_object(await call.json(), "", "the body"), "name", "")
        return success(to_json(await namespaces.create(call.caller, call.account_id, name)))

    async def get(call: Call) -> Reply:
        """GET …/namespaces/{namespace}."""
        return success(to_json(await namespaces.get(call.account_id, call.names["namespace"])))

    async def delete(call: Call) -> Reply:
        """DELETE …/namespaces/{namespace}."""
        await namespaces.delete(call.caller, call.account_id, call.names["namespace"])
        return success(None)

    rename = unsupported("rename or change dispatch namespaces: secrets are sealed to the name of their namespace")
    return [
        Resource("GET", _NAMESPACES, Action.READ_SCRIPTS, list_namespaces),
        Resource("POST", _NAMESPACES, Action.WRITE_SCRIPTS, create),
        Resource("GET", NAMESPACE, Action.READ_SCRIPTS, get),
        Resource("PUT", NAMESPACE, Action.WRITE_SCRIPTS, rename),
        Resource("PATCH", NAMESPACE, Action.WRITE_SCRIPTS, rename),
        Resource("DELETE", NAMESPACE, Action.WRITE_SCRIPTS, delete),
        *_in_existing_namespace(namespaces, _script_routes(services)),
        Resource(
            "POST",
            f"{DISPATCHED}/assets-upload-session",
            Action.WRITE_SCRIPTS,
            unsupported("keep static assets"),
        ),
    ]


def _script_routes(services: Services) -> Iterator[Resource]:
    """Yield the routes of the scripts in a namespace."""

    async def list_scripts(call: Call) -> Reply:
        """GET …/scripts: the scripts that the caller may read."""
        tag_filter = scripts.parse_tag_filter(fields_of(call.query).get("tags", ""))
        visible = scripts.visible_scripts(services, call, call.names["namespace"])
        return await list_reply(_listed(script) async for script in visible if scripts.has_tags(script, tag_filter))

    async def delete_scripts(call: Call) -> Reply:
        """DELETE …/scripts?tags=: deletes scripts with these tags that the caller may delete, up to a limit."""
        fields = fields_of(call.query)
        tag_filter, max_scripts = scripts.parse_tag_filter(fields.get("tags", "")), _limit(fields)
        if not tag_filter:
            raise NightsafeError(
                Code.INVALID, "'tags' is missing: say which scripts to delete, for example customer-1:yes,keep:no"
            )
        visible = scripts.visible_scripts(services, call, call.names["namespace"], Action.WRITE_SCRIPTS)
        matching = [script.ref async for script in visible if scripts.has_tags(script, tag_filter)]
        checks = [(ref, scripts.reference_check(services, call, ref)) for ref in matching[:max_scripts]]
        for _, check in checks:
            if check is not None:
                await check()
        for ref, check in checks:
            await services.scripts.delete(call.caller, ref, check)
        removed = [ref.name for ref in matching[:max_scripts]]
        return success({"deleted": removed, "deleted_count": len(removed), "has_more": len(matching) > max_scripts})

    async def get_script(call: Call) -> Reply:
        """GET …/scripts/{script_name}: the script's properties. wrangler deploys a new script on this refusal."""
        try:
            script = await services.scripts.get(call.script)
        except NightsafeError as error:
            if error.code is not Code.SCRIPT_NOT_FOUND:
                raise
            raise NightsafeError(Code.DISPATCHED_NOT_FOUND, call.script.name) from None
        return success(_namespace_fields(script) | {"script": views.script(script)})

    yield Resource("GET", f"{NAMESPACE}/scripts", Action.READ_SCRIPTS, list_scripts)
    yield Resource("DELETE", f"{NAMESPACE}/scripts", Action.WRITE_SCRIPTS, delete_scripts)
    yield Resource("GET", DISPATCHED, Action.READ_SCRIPTS, get_script)
    yield from scripts.upload_routes(services, DISPATCHED)
    yield from scripts.deletion_routes(services, DISPATCHED)
    yield from secrets.resources(services, DISPATCHED)
    yield from settings.resources(services, DISPATCHED)
    yield from content.resources(services, DISPATCHED)
    yield from _tag_routes(services.namespaces)


def _tag_routes(namespaces: Namespaces) -> list[Resource]:
    """Return the routes of the tags of a script in a namespace."""

    async def list_tags(call: Call) -> Reply:
        """GET …/tags: the tags or, with the filter `tags`, whether the script matches it."""
        tags = await namespaces.tags(call.script)
        tag_filter = scripts.parse_tag_filter(fields_of(call.query).get("tags", ""))
        return success(all((tag in tags) is required for tag, required in tag_filter.items()) if tag_filter else tags)

    async def put_tags(call: Call) -> Reply:
        """PUT …/tags."""
        tags = check_tags(await call.json())
        return success(await namespaces.set_tags(call.caller, call.script, tags))

    async def put_tag(call: Call) -> Reply:
        """PUT …/tags/{tag}."""
        tag = call.names["tag"]
        tags = await namespaces.alter_tags(
            call.caller, call.script, lambda current: current if tag in current else check_tags([*current, tag])
        )
        return success(tags)

    async def delete_tag(call: Call) -> Reply:
        """DELETE …/tags/{tag}: also succeeds when the script does not have the tag."""
        removed = call.names["tag"]
        await namespaces.alter_tags(
            call.caller, call.script, lambda current: [tag for tag in current if tag != removed]
        )
        return success(None)

    return [
        Resource("GET", f"{DISPATCHED}/tags", Action.READ_SCRIPTS, list_tags),
        Resource("PUT", f"{DISPATCHED}/tags", Action.WRITE_SCRIPTS, put_tags),
        Resource("PUT", f"{DISPATCHED}/tags/{{tag}}", Action.WRITE_SCRIPTS, put_tag),
        Resource("DELETE", f"{DISPATCHED}/tags/{{tag}}", Action.WRITE_SCRIPTS, delete_tag),
    ]


def _limit(fields: dict[str, str]) -> int:
    """Return the most scripts that a request may delete."""
    return min(whole_number(fields, "limit", _MAX_DELETED), _MAX_DELETED)


def _in_existing_namespace(namespaces: Namespaces, routes: Iterable[Resource]) -> Iterator[Resource]:
    """Yield the same routes, each with a preceding check that the namespace exists."""
    for route in routes:
        yield replace(route, handler=_checking_namespace(namespaces, route))


def _checking_namespace(namespaces: Namespaces, route: Resource) -> Any:
    """Return a handler that checks that the namespace exists, and then calls the route's handler."""

    async def handler(call: Call) -> Reply:
        """Answer, unless the namespace does not exist."""
        await namespaces.require(call.account_id, call.names["namespace"])
        return await route.handler(call)

    return handler


def to_json(namespace: Namespace) -> dict[str, Any]:
    """Return a namespace as lists show it."""
    return {
        "namespace_id": str(uuid.UUID(hex=namespace.collection.id)),
        "namespace_name": namespace.collection.name,
        "script_count": namespace.script_count,
        "trusted_workers": False,
        "created_on": views.time(namespace.collection.created_on),
        "created_by": namespace.created_by,
        "modified_on": views.time(namespace.collection.modified_on),
        "modified_by": namespace.created_by,
    }


def _listed(script: Script) -> dict[str, Any]:
    """Return a script as the list of its namespace shows it."""
    return _namespace_fields(script) | views.script(script)


def _namespace_fields(script: Script) -> dict[str, Any]:
    """Return the namespace of a script, and the times of its creation and last change."""
    return {
        "dispatch_namespace": script.ref.namespace,
        "created_on": views.time(script.created_on),
        "modified_on": views.time(script.modified_on),
    }
