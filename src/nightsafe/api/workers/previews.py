"""Serves `/workers/workers/{script_name}/previews/{preview}`: only the bindings of a preview are stored.

Source: `wrangler preview secret put|bulk|delete|list` of wrangler 4.130 and later, which read and patch the newest
deployment of a preview. Nightsafe does not have previews or their deployments, only bindings under a preview's name.
"""

import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from nightsafe.api.http.envelope import Reply, success
from nightsafe.api.http.path import ACCOUNT
from nightsafe.api.http.request import Call
from nightsafe.api.http.routing import Resource
from nightsafe.api.scripts import views
from nightsafe.api.unsupported.routes import unsupported
from nightsafe.api.workers.workers import find_worker
from nightsafe.identity.permissions import Action
from nightsafe.services.services import Services
from nightsafe.services.workers.previews import parse_preview_patch
from nightsafe.store.collections import Item

_PREVIEWS = f"{ACCOUNT}/workers/workers/{{script_name}}/previews"
_PREVIEW = f"{_PREVIEWS}/{{preview}}"
_LATEST = f"{_PREVIEW}/deployments/latest"
_REFUSED = {
    _PREVIEWS: ("GET", "POST"),
    _PREVIEW: ("GET", "PATCH", "DELETE"),
    f"{_PREVIEW}/deployments": ("GET", "POST"),
    f"{_PREVIEW}/deployments/{{deployment}}": ("GET", "PATCH", "DELETE"),
}


def resources(services: Services) -> list[Resource]:
    """Return the routes of this module with their handlers."""

    async def get(call: Call) -> Reply:
        """GET …/deployments/latest: the bindings under the preview's name."""
        script, preview = await find_worker(services, call), call.names["preview"]
        return success(to_json(preview, script.id, await services.previews.bindings_of(script.ref, preview)))

    async def patch(call: Call) -> Reply:
        """PATCH …/deployments/latest: a merge patch of the bindings."""
        patch = parse_preview_patch(await call.json(merge_patch=True), call.limits)
        script, preview = await find_worker(services, call), call.names["preview"]
        items = await services.previews.edit_preview(call.caller, script.ref, preview, patch)
        return success(to_json(preview, script.id, items))

    refuse = unsupported("make preview deployments; it only keeps their secrets")
    return [
        Resource("GET", _LATEST, Action.READ_SCRIPTS, get),
        Resource("PATCH", _LATEST, Action.WRITE_SCRIPTS, patch),
        Resource("DELETE", _LATEST, Action.WRITE_SCRIPTS, refuse),
        *(
            Resource(method, path, Action.READ_SCRIPTS if method == "GET" else Action.WRITE_SCRIPTS, refuse)
            for path, methods in _REFUSED.items()
            for method in methods
        ),
    ]


def to_json(preview: str, script_id: str, items: Sequence[Item]) -> dict[str, Any]:
    """Return a preview's deployment in the form that clients read. Its id changes whenever a binding changes."""
    changed = max((item.modified_on for item in items), default=0)
    times = {"created_on": views.time(changed)} if items else {}
    return {
        "id": str(uuid.uuid5(uuid.UUID(hex=script_id), f"{changed} {preview} {[item.name for item in items]}")),
        "preview_name": preview,
        **times,
        "urls": [],
        "env": {item.name: msgspec.Raw(item.shown) for item in items},
    }
