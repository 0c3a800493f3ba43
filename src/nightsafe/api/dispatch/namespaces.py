"""Serves `/workers/dispatch/namespaces` and the scripts in them.

A script in a namespace has the same routes as any other script. Each route first checks that the namespace exists:
clients react to a missing script by creating it, which must not happen in a missing namespace.
"""

import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec.structs import replace

from nightsafe.api.http.envelope import Reply, listed, success
from nightsafe.api.http.paging import fields_of, whole_number
from nightsafe.api.http.path import ACCOUNT, DISPATCHED, NAMESPACE
from nightsafe.api.http.request import Call
from nightsafe.api.http.routing import Resource
from nightsafe.api.scripts import content, scripts, settings, views
from nightsafe.api.secrets import secrets
from nightsafe.api.unsupported.routes import refusing
from nightsafe.bindings.json_fields import need_object, need_string
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.permissions import Action
from nightsafe.services.dispatch.namespaces import Namespace, Namespaces, check_tags
from nightsafe.services.services import Services
from nightsafe.store.scripts import Script

_MAX_DELETED = 1000
"""The most scripts that one request deletes. Its answer says whether there are more."""

_NAMESPACES = f"{ACCOUNT}/workers/dispatch/namespaces"


def resources(use: Services) -> list[Resource]:
    """Return the routes of this page with their handlers."""
    namespaces = use.namespaces

    async def list_namespaces(call: Call) -> Reply:
        """GET …/namespaces."""
        return success([_shown(namespace) for namespace in await namespaces.list(call.account_id)])

    async def create(call: Call) -> Reply:
        """POST …/namespaces."""
        name = need_string(need_object(await call.json(), "", "the body"), "name", "")
        return success(_shown(await namespaces.create(call.caller, call.account_id, name)))

    async def get(call: Call) -> Reply:
        """GET …/namespaces/{namespace}."""
        return success(_shown(await namespaces.get(call.account_id, call.names["namespace"])))

    async def delete(call: Call) -> Reply:
        """DELETE …/namespaces/{namespace}."""
        await namespaces.delete(call.caller, call.account_id, call.names["namespace"])
        return success(None)

    rename = refusing("rename or change dispatch namespaces: secrets are sealed to the name of their namespace")
    return [
        Resource("GET", _NAMESPACES, Action.READ_SCRIPTS, list_namespaces),
        Resource("POST", _NAMESPACES, Action.WRITE_SCRIPTS, create),
        Resource("GET", NAMESPACE, Action.READ_SCRIPTS, get),
        Resource("PUT", NAMESPACE, Action.WRITE_SCRIPTS, rename),
        Resource("PATCH", NAMESPACE, Action.WRITE_SCRIPTS, rename),
        Resource("DELETE", NAMESPACE, Action.WRITE_SCRIPTS, delete),
        *_within(namespaces, _of_scripts(use)),
        Resource("POST", f"{DISPATCHED}/assets-upload-session", Action.WRITE_SCRIPTS, refusing("keep static assets")),
    ]


def _of_scripts(use: Services) -> Iterator[Resource]:
    """Yield the routes of the scripts in a namespace."""

    async def list_scripts(call: Call) -> Reply:
        """GET …/scripts: the scripts that the caller may read."""
        wanted = scripts.wanted_tags(fields_of(call.query).get("tags", ""))
        every = scripts.visible(use, call, call.names["namespace"])
        return await listed(
            _dispatched(script) | views.script(script) async for script in every if scripts.has_tags(script, wanted)
        )

    async def delete_scripts(call: Call) -> Reply:
        """DELETE …/scripts?tags=: deletes scripts with these tags that the caller may delete, up to a limit."""
        fields = fields_of(call.query)
        wanted, most = scripts.wanted_tags(fields.get("tags", "")), _limit(fields)
        if not wanted:
            raise NightsafeError(
                Code.INVALID, "'tags' is missing: say which scripts to delete, for example customer-1:yes,keep:no"
            )
        every = scripts.visible(use, call, call.names["namespace"], Action.WRITE_SCRIPTS)
        found = [script.ref async for script in every if scripts.has_tags(script, wanted)]
        looks = [(ref, scripts.unless_used(use, call, ref)) for ref in found[:most]]
        for _, look in looks:
            if look is not None:
                await look()
        for ref, look in looks:
            await use.scripts.delete(call.caller, ref, look)
        gone = [ref.name for ref in found[:most]]
        return success({"deleted": gone, "deleted_count": len(gone), "has_more": len(found) > most})

    async def get_script(call: Call) -> Reply:
        """GET …/scripts/{script_name}: the script's properties. wrangler deploys a new script on this refusal."""
        try:
            script = await use.scripts.get(call.script)
        except NightsafeError as error:
            if error.code is not Code.SCRIPT_NOT_FOUND:
                raise
            raise NightsafeError(Code.DISPATCHED_NOT_FOUND, call.script.name) from None
        return success(_dispatched(script) | {"script": views.script(script)})

    yield Resource("GET", f"{NAMESPACE}/scripts", Action.READ_SCRIPTS, list_scripts)
    yield Resource("DELETE", f"{NAMESPACE}/scripts", Action.WRITE_SCRIPTS, delete_scripts)
    yield Resource("GET", DISPATCHED, Action.READ_SCRIPTS, get_script)
    yield from scripts.uploads(use, DISPATCHED)
    yield from scripts.deletions(use, DISPATCHED)
    yield from secrets.resources(use, DISPATCHED)
    yield from settings.resources(use, DISPATCHED)
    yield from content.resources(use, DISPATCHED)
    yield from _of_tags(use.namespaces)


def _of_tags(namespaces: Namespaces) -> list[Resource]:
    """Return the routes of the tags of a script in a namespace."""

    async def list_tags(call: Call) -> Reply:
        """GET …/tags: the tags or, with the filter `tags`, whether the script matches it."""
        tags = await namespaces.tags(call.script)
        wanted = scripts.wanted_tags(fields_of(call.query).get("tags", ""))
        return success(all((tag in tags) is must for tag, must in wanted.items()) if wanted else tags)

    async def put_tags(call: Call) -> Reply:
        """PUT …/tags."""
        tags = check_tags(await call.json())
        return success(await namespaces.set_tags(call.caller, call.script, tags))

    async def put_tag(call: Call) -> Reply:
        """PUT …/tags/{tag}."""
        tag = call.names["tag"]
        tags = await namespaces.alter_tags(
            call.caller, call.script, lambda there: there if tag in there else check_tags([*there, tag])
        )
        return success(tags)

    async def delete_tag(call: Call) -> Reply:
        """DELETE …/tags/{tag}: also succeeds when the script does not have the tag."""
        gone = call.names["tag"]
        await namespaces.alter_tags(call.caller, call.script, lambda there: [tag for tag in there if tag != gone])
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


def _within(namespaces: Namespaces, pages: Iterable[Resource]) -> Iterator[Resource]:
    """Yield the same routes, each with a preceding check that the namespace exists."""
    for page in pages:
        yield replace(page, handler=_guarded(namespaces, page))


def _guarded(namespaces: Namespaces, page: Resource) -> Any:
    """Return a handler that checks that the namespace exists, and then calls the route's handler."""

    async def handler(call: Call) -> Reply:
        """Answer, unless the namespace does not exist."""
        await namespaces.require(call.account_id, call.names["namespace"])
        return await page.handler(call)

    return handler


def _shown(namespace: Namespace) -> dict[str, Any]:
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


def _dispatched(script: Script) -> dict[str, Any]:
    """Return the namespace of a script, and the times of its creation and last change."""
    return {
        "dispatch_namespace": script.ref.namespace,
        "created_on": views.time(script.created_on),
        "modified_on": views.time(script.modified_on),
    }
