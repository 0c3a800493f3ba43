"""Serves `/workers/workers/{script_name}` and its `/versions`: one object with the settings of every level.

A path names a worker by its name or its id. The first permission check sees only the path. An id is resolved after
that, so the permission is checked again for the script that was found.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from functools import partial
from typing import Any

import msgspec

from nightsafe.api.http.envelope import Reply, success
from nightsafe.api.http.paging import fields_of, names_on, page_of, page_reply
from nightsafe.api.http.path import ACCOUNT
from nightsafe.api.http.request import Call
from nightsafe.api.http.routing import Resource
from nightsafe.api.http.streaming import File, success_with_files
from nightsafe.api.scripts import scripts, views
from nightsafe.api.unsupported.routes import unsupported
from nightsafe.bindings.json_fields import need_object, optional_string
from nightsafe.bindings.unknown_members import require_known
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity import policy
from nightsafe.identity.permissions import Action
from nightsafe.services.notices import Notices
from nightsafe.services.scripts.triggers import subdomain_of
from nightsafe.services.services import Services
from nightsafe.services.versions.versions import parse_version_id
from nightsafe.services.workers.workers import (
    MEMBERS,
    OWN,
    PREVIEWS,
    WorkerDetails,
    parse_version,
    parse_version_patch,
    parse_worker,
)
from nightsafe.store.bundles import StoredFile
from nightsafe.store.scripts import Script, Version
from nightsafe.store.turns import in_turns

_WORKERS = f"{ACCOUNT}/workers/workers"
_WORKER = f"{_WORKERS}/{{script_name}}"
_VERSIONS = f"{_WORKER}/versions"
_LATEST = "latest"
_REFERENCES = ("dispatch_namespace_outbounds", "domains", "durable_objects", "queues", "workers")
_NOWHERE = {"enabled": False, "previews_enabled": False}
_DEFAULT_SIZE = {"per_page": "10"}
_MAX_SIZE = 100
Order = Callable[[Services, Script], Awaitable[int]]
_TURN = 20


def resources(services: Services) -> list[Resource]:
    """Return the routes of this module with their handlers."""

    async def list_workers(call: Call) -> Reply:
        """GET /workers/workers: the workers that the caller may read."""
        fields = fields_of(call.query)
        page, (order, last_first) = page_of(_DEFAULT_SIZE | fields, _MAX_SIZE), _order(fields)
        visible = scripts.visible_scripts(services, call)
        keys = ((await order(services, script), script.ref.name) async for script in visible)
        names, total = await names_on(page, keys, last_first=last_first)
        return page_reply([worker async for worker in _workers_json(services, call, names)], page, total)

    async def get(call: Call) -> Reply:
        """GET /workers/workers/{script_name}."""
        return success(to_json(await services.workers.details(await find_worker(services, call))))

    async def patch(call: Call) -> Reply:
        """PATCH /workers/workers/{script_name}: keeps the members that are not in the body."""
        return await edit_worker(call, need_object(await call.json(merge_patch=True), "", "the body"))

    async def put(call: Call) -> Reply:
        """PUT /workers/workers/{script_name}: resets the members that are not in the body, except previews."""
        body = need_object(await call.json(), "", "the body")
        require_known(body, MEMBERS, "", "the body")
        subdomain = _NOWHERE | need_object(body.get("subdomain") or {}, "/subdomain", "'subdomain'")
        return await edit_worker(call, dict.fromkeys(OWN) | body | {"subdomain": subdomain})

    async def edit_worker(call: Call, body: dict[str, Any]) -> Reply:
        """Change a worker, and return it."""
        patch, script = parse_worker(body, call.limits), await find_worker(services, call)
        if optional_string(body, "name", "") not in {None, script.ref.name}:
            sentence = "rename Workers: secrets are sealed to the name of their Worker"
            raise NightsafeError(Code.UNSUPPORTED, sentence, "/name")
        return success(to_json(await services.workers.edit(call.caller, script, patch)), patch.notices)

    async def delete(call: Call) -> Reply:
        """DELETE /workers/workers/{script_name}. With `force`, also deletes a worker that other workers need."""
        await scripts.delete_script(services, call, (await find_worker(services, call)).ref)
        return success(None)

    without_code = unsupported("keep Workers without code: upload a script with that name")
    return [
        Resource("GET", _WORKERS, Action.READ_SCRIPTS, list_workers),
        Resource("POST", _WORKERS, Action.WRITE_SCRIPTS, without_code),
        Resource("GET", _WORKER, Action.READ_SCRIPTS, get),
        Resource("PATCH", _WORKER, Action.WRITE_SCRIPTS, patch),
        Resource("PUT", _WORKER, Action.WRITE_SCRIPTS, put),
        Resource("DELETE", _WORKER, Action.WRITE_SCRIPTS, delete),
        *_version_routes(services),
    ]


def _version_routes(services: Services) -> list[Resource]:
    """Return the routes of a worker's versions."""

    async def list_versions(call: Call) -> Reply:
        """GET …/versions."""
        return await _page_of_versions(services, call)

    async def create(call: Call) -> Reply:
        """POST …/versions: makes a version, and deploys it only if the query has `deploy=true`."""
        deployed = call.has_parameter("deploy", "true")
        parsed = parse_version(await call.json(), call.limits, deployed=deployed)
        script = await find_worker(services, call)
        if deployed:
            result = await services.scripts.upload(call.caller, script.ref, parsed, strict=True)
            version = await services.versions.get(script.ref, parse_version_id(result.version_id))
            return await _version_reply(services, script, version, notices=result.notices)
        version, notices = await services.versions.upload(call.caller, script.ref, parsed, strict=True)
        return await _version_reply(services, script, version, notices=notices)

    async def get(call: Call) -> Reply:
        """GET …/versions/{version_id}."""
        script = await find_worker(services, call)
        version = await services.versions.find(script.ref, call.names.get("version_id", _LATEST))
        return await _version_reply(services, script, version, modules=call.has_parameter("include", "modules"))

    async def patch_latest(call: Call) -> Reply:
        """PATCH …/versions/latest: makes a version with other secrets, and does not deploy it.

        A caller that may set secrets but not read scripts gets the version without its variables and settings.
        """
        patch, script = (
            parse_version_patch(await call.json(merge_patch=True), call.limits),
            await find_worker(services, call),
        )
        version = await services.versions.patch_secrets(call.caller, script.ref, patch)
        if not _may(call, script, Action.READ_SCRIPTS):
            return success(_version_summary(version), patch.notices)
        return await _version_reply(services, script, version, notices=patch.notices)

    keep = unsupported("delete versions: it keeps every version for rollbacks")
    return [
        Resource("GET", _VERSIONS, Action.READ_SCRIPTS, list_versions),
        Resource("POST", _VERSIONS, Action.WRITE_SCRIPTS, create),
        Resource("PATCH", f"{_VERSIONS}/{_LATEST}", Action.WRITE_SECRETS, patch_latest),
        Resource("GET", f"{_VERSIONS}/{_LATEST}", Action.READ_SCRIPTS, get),
        Resource("GET", f"{_VERSIONS}/{{version_id}}", Action.READ_SCRIPTS, get),
        Resource("DELETE", f"{_VERSIONS}/{_LATEST}", Action.WRITE_SCRIPTS, keep),
        Resource("DELETE", f"{_VERSIONS}/{{version_id}}", Action.WRITE_SCRIPTS, keep),
    ]


async def _page_of_versions(services: Services, call: Call) -> Reply:
    """Return a page of a worker's versions, each with its bindings."""
    ref, page = (await find_worker(services, call)).ref, page_of(_DEFAULT_SIZE | fields_of(call.query), _MAX_SIZE)
    versions, total = await services.versions.list(ref, offset=(page.number - 1) * page.size, limit=page.size)
    bindings = await services.versions.bindings_of(ref, versions)
    pairs = in_turns(zip(versions, bindings, strict=True), _TURN)
    items = [_version(version) | {"bindings": views.bindings(its)} async for version, its in pairs]
    return page_reply(items, page, total)


async def _version_reply(
    services: Services, script: Script, version: Version, *, modules: bool = False, notices: Notices = ()
) -> Reply:
    """Return a version with its bindings and, on request, its files."""
    parts = {"bindings": views.bindings(await services.versions.bindings(script.ref, version))}
    if modules:
        _, files = await services.scripts.files(script.ref, version.id)
        file_parts = [_to_file(services, script.ref.account_id, file) for file in files]
        return success_with_files(_version(version) | parts, file_parts, "content_base64")
    return success(_version(version) | parts, notices)


async def _workers_json(services: Services, call: Call, names: Iterable[str]) -> AsyncIterator[dict[str, Any]]:
    """Yield the workers with these names as the list shows them, except those deleted meanwhile."""
    async for script in scripts.scripts_named(services, call, names):
        try:
            worker = await services.workers.details(script)
        except NightsafeError as error:
            if error.code is not Code.SCRIPT_NOT_FOUND:
                raise
        else:
            yield to_json(worker)


async def find_worker(services: Services, call: Call) -> Script:
    """Return the worker that the path names, if the caller has the permission of this route for it.

    Raises:
        NightsafeError: SCRIPT_NOT_FOUND, NOT_PERMITTED.
    """
    script = await services.workers.find(call.account_id, call.names["script_name"])
    principal = call.caller.principal
    if not _may(call, script, Action(call.caller.permission)):
        where = f"in account {call.account_id}"
        raise NightsafeError(
            Code.NOT_PERMITTED, f"{call.caller.permission} {where} is not granted to {principal.kind} {principal.id}"
        )
    return script


def _may(call: Call, script: Script, action: Action) -> bool:
    """Tell whether the caller may do an action with a worker."""
    return call.caller.principal.grants.allow(action, policy.Resource(call.account_id, script.ref.name))


def to_json(worker: WorkerDetails) -> dict[str, Any]:
    """Return a worker as JSON."""
    script = worker.script
    own = msgspec.json.decode(script.script_settings)
    env = {item.name: msgspec.Raw(item.shown) for item in worker.items}
    previews = msgspec.json.decode(worker.previews) | {"env": env}
    return {
        "id": script.id,
        "name": script.ref.name,
        "created_on": views.time(script.created_on),
        "updated_on": views.time(script.modified_on),
        "deployed_on": None if worker.deployed_on is None else views.time(worker.deployed_on),
        "logpush": own.get("logpush", False),
        "observability": own.get("observability") or {"enabled": False},
        "tags": own.get("tags") or [],
        "tail_consumers": [
            {"name": consumer["service"]} for consumer in own.get("tail_consumers") or () if "service" in consumer
        ],
        "subdomain": subdomain_of(script),
        "references": {name: [] for name in _REFERENCES},
        **dict.fromkeys(PREVIEWS, previews),
    }


def _order(fields: dict[str, str]) -> tuple[Order, bool]:
    """Return a query's sort key, and whether the order is descending. By default, the last deployment is first."""
    order, direction = fields.get("order_by", "deployed_on"), fields.get("order")
    if order not in _ORDERS:
        raise NightsafeError(Code.INVALID, f"'order_by' must be one of {', '.join(_ORDERS)}")
    if direction not in {None, "asc", "desc"}:
        raise NightsafeError(Code.INVALID, "'order' must be asc or desc")
    return _ORDERS[order], order != "name" if direction is None else direction == "desc"


async def _deployed_on(services: Services, script: Script) -> int:
    """Return the time of the last deployment, or 0."""
    return await services.workers.deployed_on(script) or 0


async def _updated_on(_: Services, script: Script) -> int:
    """Return the time of the last change."""
    return script.modified_on


async def _created_on(_: Services, script: Script) -> int:
    """Return the time of the creation."""
    return script.created_on


async def _name(_: Services, __: Script) -> int:
    """Return the same key for all: workers with equal keys are sorted by name."""
    return 0


_ORDERS: dict[str, Order] = {
    "deployed_on": _deployed_on,
    "updated_on": _updated_on,
    "created_on": _created_on,
    "name": _name,
}


def _version(version: Version) -> dict[str, Any]:
    """Return a version as JSON, without its bindings."""
    settings = views.versioned(version.settings)
    date = {"compatibility_date": views.date_of(settings)}
    return settings | date | _version_summary(version) | {"urls": [], "main_module": version.main_module}


def _version_summary(version: Version) -> dict[str, Any]:
    """Return the id, number, time, author and annotations of a version."""
    return {
        "id": views.identifier(version.id),
        "number": version.number,
        "created_on": views.time(version.created_on),
        "source": version.source,
        "author_id": version.author_id,
        "author_email": version.author_email,
        **views.annotated(version.annotations, version.triggered_by),
    }


def _to_file(services: Services, account_id: str, file: StoredFile) -> File:
    """Return a file of a version, for a JSON answer."""
    fields = {"name": file.name, "content_type": file.content_type}
    return File(fields, file.size, partial(services.contents.slices, account_id, file.digest, file.size))
