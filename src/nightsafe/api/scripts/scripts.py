"""Serves `…/workers/scripts`, `/{script_name}` and `…/workers/scripts-search`."""

from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from typing import Any

import msgspec

from nightsafe.api.http.envelope import Reply, list_reply, success
from nightsafe.api.http.paging import fields_of, names_on, page_of, page_reply
from nightsafe.api.http.path import ACCOUNT, SCRIPT
from nightsafe.api.http.request import Call
from nightsafe.api.http.routing import Resource
from nightsafe.api.scripts import views
from nightsafe.api.scripts.content import as_script, reader
from nightsafe.api.scripts.upload_form import is_strict, read_parsed_upload, read_text_part
from nightsafe.api.scripts.visibility import visibility_of
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.permissions import Action
from nightsafe.services.scripts.scripts import CheckReferences
from nightsafe.services.services import Services
from nightsafe.store.scripts import Script, ScriptRef
from nightsafe.store.turns import in_turns

_SEARCH_SIZE = {"per_page": "10"}
_MAX_SEARCH_SIZE = 100
_TURN = 20
_ORDERS: dict[str, Callable[[Script], Any]] = {
    "name": lambda script: script.ref.name,
    "created_on": lambda script: script.created_on,
    "modified_on": lambda script: script.modified_on,
}
_ANSWERS = {"yes": True, "true": True, "no": False, "false": False}


def resources(services: Services) -> list[Resource]:
    """Return the routes of this module with their handlers."""

    async def list_scripts(call: Call) -> Reply:
        """GET …/scripts: the scripts that the caller may read."""
        tag_filter = parse_tag_filter(fields_of(call.query).get("tags", ""))
        scripts = visible_scripts(services, call)
        return await list_reply(views.script(script) async for script in scripts if has_tags(script, tag_filter))

    async def search(call: Call) -> Reply:
        """GET …/scripts-search."""
        fields = fields_of(call.query)
        page = page_of(_SEARCH_SIZE | fields, _MAX_SEARCH_SIZE)
        order, scripts = _order(fields), visible_scripts(services, call)
        keys = ((order(script), script.ref.name) async for script in scripts if _matches(script, fields))
        names, total = await names_on(page, keys)
        return page_reply(
            [_search_result(script) async for script in scripts_named(services, call, names)], page, total
        )

    async def content(call: Call) -> Reply:
        """GET …/scripts/{script_name}."""
        return as_script(*await services.scripts.files(call.script), reader(services, call))

    return [
        Resource("GET", f"{ACCOUNT}/workers/scripts", Action.READ_SCRIPTS, list_scripts),
        Resource("GET", f"{ACCOUNT}/workers/scripts-search", Action.READ_SCRIPTS, search),
        Resource("GET", SCRIPT, Action.READ_SCRIPTS, content),
        *upload_routes(services),
        *deletion_routes(services),
    ]


async def visible_scripts(
    services: Services, call: Call, namespace: str = "", action: Action = Action.READ_SCRIPTS
) -> AsyncIterator[Script]:
    """Yield the scripts of the account, or of a dispatch namespace, that the caller has a permission for.

    Other requests run in between, because there may be many thousands of scripts.

    Args:
        services: the use cases.
        call: the request.
        namespace: the dispatch namespace, or "".
        action: the action that the caller must be allowed to do; by default, read the script.
    """
    may = visibility_of(call, action)
    async for script in services.scripts.iter_scripts(call.account_id, namespace):
        if may(script.ref):
            yield script


async def scripts_named(services: Services, call: Call, names: Iterable[str]) -> AsyncIterator[Script]:
    """Yield the account's scripts with these names, except those deleted meanwhile."""
    async for name in in_turns(names, _TURN):
        try:
            yield await services.scripts.get(ScriptRef(call.account_id, name))
        except NightsafeError as error:
            if error.code is not Code.SCRIPT_NOT_FOUND:
                raise


def upload_routes(services: Services, at: str = SCRIPT) -> list[Resource]:
    """Return the route of an upload, below the path of a script."""

    async def upload(call: Call) -> Reply:
        """PUT …/scripts/{script_name}. With `rollback_to`, which older wranglers send, deploys an earlier version."""
        rollback_to = fields_of(call.query).get("rollback_to")
        if rollback_to is not None:
            return await roll_back_reply(services, call, rollback_to)
        strict = is_strict(call)
        parsed = await read_parsed_upload(call, deployed=True)
        result = await services.scripts.upload(call.caller, call.script, parsed, strict=strict)
        return success(upload_json(result.script, result.version_id), result.notices)

    return [Resource("PUT", at, Action.WRITE_SCRIPTS, upload)]


def deletion_routes(services: Services, at: str = SCRIPT) -> list[Resource]:
    """Return the route of a deletion, below the path of a script."""

    async def delete(call: Call) -> Reply:
        """DELETE …/scripts/{script_name}. With `force`, also deletes a script that other scripts need."""
        return success({"id": await delete_script(services, call, call.script)})

    return [Resource("DELETE", at, Action.WRITE_SCRIPTS, delete)]


async def roll_back_reply(services: Services, call: Call, tag_filter: str) -> Reply:
    """Deploy an earlier deployment or version again. The form may contain a message."""
    message = await read_text_part(call, "message")
    force = call.has_parameter("force", "true")
    result, notices = await services.deployments.roll_back(
        call.caller, call.script, tag_filter, message, call.limits, force=force
    )
    return success(upload_json(await services.scripts.get(call.script), views.identifier(result.id)), notices)


async def delete_script(services: Services, call: Call, ref: ScriptRef) -> str:
    """Delete a script, and return its tag. Refuse if other scripts need it, unless the query has `force`."""
    await services.scripts.get(ref)
    return await services.scripts.delete(call.caller, ref, reference_check(services, call, ref))


def reference_check(services: Services, call: Call, ref: ScriptRef) -> CheckReferences | None:
    """Return the check that no other script needs a script; None when the query has `force`."""
    return (
        None
        if call.has_parameter("force", "true")
        else partial(services.references.refuse_if_used, ref, visibility_of(call))
    )


def upload_json(script: Script, version_id: str) -> dict[str, Any]:
    """Return the answer to an upload. The API starts no script, so the startup time is 0."""
    result = {"deployment_id": version_id.replace("-", ""), "startup_time_ms": 0, "entry_point": script.main_module}
    return views.script(script) | result


def parse_tag_filter(text: str) -> dict[str, bool]:
    """Parse the filter `tags` into each tag, and whether it is required or excluded. A tag may contain colons."""
    tag_filter = {}
    for pair in text.split(",") if text else ():
        tag, colon, answer = pair.rpartition(":")
        if not colon or answer not in _ANSWERS:
            raise NightsafeError(Code.INVALID, "'tags' must be pairs such as production:yes,staging:no")
        tag_filter[tag] = _ANSWERS[answer]
    return tag_filter


def has_tags(script: Script, tag_filter: dict[str, bool]) -> bool:
    """Tell whether a script has all required tags and no excluded one."""
    if not tag_filter:
        return True
    tags = msgspec.json.decode(script.script_settings).get("tags", ())
    return all((tag in tags) is required for tag, required in tag_filter.items())


def _matches(script: Script, fields: dict[str, str]) -> bool:
    """Tell whether a search finds a script, by a part of its name or by its whole tag."""
    return fields.get("name", "") in script.ref.name and fields.get("id", script.id) == script.id


def _order(fields: dict[str, str]) -> Callable[[Script], Any]:
    """Return a search's sort key."""
    order = _ORDERS.get(fields.get("order_by", "name"))
    if order is None:
        raise NightsafeError(Code.INVALID, f"'order_by' must be one of {', '.join(_ORDERS)}")
    return order


def _search_result(script: Script) -> dict[str, Any]:
    """Return a script as a search shows it. Its environment is always the default one."""
    return {
        "id": script.id,
        "script_name": script.ref.name,
        "service_name": script.ref.name,
        "environment_name": "production",
        "environment_is_default": True,
        "created_on": views.time(script.created_on),
        "modified_on": views.time(script.modified_on),
    }
