"""Serves `…/{script_name}/versions` and `/versions/{version_id}`."""

from collections.abc import Sequence
from typing import Any

from nightsafe.api.http.envelope import Reply, success
from nightsafe.api.http.paging import Page, fields_of, page_of, page_reply_of
from nightsafe.api.http.path import SCRIPT
from nightsafe.api.http.request import Call
from nightsafe.api.http.routing import Resource
from nightsafe.api.scripts import views
from nightsafe.api.scripts.upload_form import is_strict, read_parsed_upload
from nightsafe.identity.permissions import Action
from nightsafe.services.services import Services
from nightsafe.services.versions.versions import DEPLOYABLE, parse_version_id
from nightsafe.store.scripts import ScriptRef, Version
from nightsafe.store.turns import in_turns

_DEFAULT_SIZE = {"per_page": "10"}
_MAX_SIZE = 100
_TURN = 20


def resources(services: Services, at: str = SCRIPT) -> list[Resource]:
    """Return the routes of this module with their handlers, below the path of a script."""

    async def list_versions(call: Call) -> Reply:
        """GET …/versions: a page of versions or, with `deployable`, a single page with the newest versions.

        Every page after that is empty, because the SDKs ask for more until they get an empty page.
        """
        fields = fields_of(call.query)
        page, deployable = page_of(_DEFAULT_SIZE | fields, _MAX_SIZE), fields.get("deployable") == "true"
        if deployable:
            page = Page(page.number, DEPLOYABLE)
        versions, total = await services.versions.list(
            call.script, offset=(page.number - 1) * page.size, limit=page.size
        )
        if deployable:
            versions, total = versions if page.number == 1 else [], min(total, DEPLOYABLE)
        return page_reply_of(
            {"items": await _versions_with_bindings(call.script, versions)}, page, len(versions), total
        )

    async def upload(call: Call) -> Reply:
        """POST …/versions. The API starts no version, so the startup time is 0."""
        strict = is_strict(call)
        parsed = await read_parsed_upload(call, deployed=False)
        version, notices = await services.versions.upload(call.caller, call.script, parsed, strict=strict)
        result = views.version(version, await services.versions.bindings(call.script, version))
        return success(result | {"startup_time_ms": 0}, notices)

    async def get(call: Call) -> Reply:
        """GET …/versions/{version_id}."""
        version = await services.versions.get(call.script, parse_version_id(call.names["version_id"]))
        return success(views.version(version, await services.versions.bindings(call.script, version)))

    async def _versions_with_bindings(ref: ScriptRef, versions: Sequence[Version]) -> list[dict[str, Any]]:
        """Return versions with their bindings."""
        bindings = await services.versions.bindings_of(ref, versions)
        pairs = in_turns(zip(versions, bindings, strict=True), _TURN)
        return [views.version(version, its) async for version, its in pairs]

    return [
        Resource("GET", f"{at}/versions", Action.READ_SCRIPTS, list_versions),
        Resource("POST", f"{at}/versions", Action.WRITE_SCRIPTS, upload),
        Resource("GET", f"{at}/versions/{{version_id}}", Action.READ_SCRIPTS, get),
    ]
