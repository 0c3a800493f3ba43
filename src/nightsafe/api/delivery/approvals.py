"""Serves `…/nightsafe/approvals/{script_name}`: manifests for approvers, and the approvals that they have made.

Approvals need a permission of their own. They have no effect by themselves: a delivery process counts an approval
only if its own approvers file has the key that signed it.
"""

import uuid
from typing import Any, Final

import msgspec
from msgspec import Struct

from nightsafe.api.http.envelope import Reply, success
from nightsafe.api.http.paging import fields_of
from nightsafe.api.http.path import ACCOUNT
from nightsafe.api.http.request import Call
from nightsafe.api.http.routing import Resource
from nightsafe.api.http.times import format_time
from nightsafe.bundle.approvals.approval import Approval
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.permissions import Action
from nightsafe.services.services import Services
from nightsafe.services.versions.versions import parse_version_id
from nightsafe.store.bundles import StoredApproval

_AT: Final = f"{ACCOUNT}/nightsafe/approvals/{{script_name}}"


class _NewApproval(Struct, forbid_unknown_fields=True):
    """The body of a new approval: the version's UUID and the approval."""

    version: str
    approval: Approval


def resources(services: Services) -> list[Resource]:
    """Return the routes of this module with their handlers."""

    async def get_approvals(call: Call) -> Reply:
        """GET …/nightsafe/approvals/{script_name}, newest first; `keys` names the wanted keys, with commas."""
        keys = tuple(filter(None, fields_of(call.query).get("keys", "").split(",")))
        return success([to_json(stored) for stored in await services.approvals.list(call.script, keys)])

    async def get_manifest(call: Call) -> Reply:
        """GET …/nightsafe/approvals/{script_name}/manifest."""
        version = fields_of(call.query).get("version")
        version_id = None if version is None else parse_version_id(version)
        return success(await services.approvals.manifest(call.script, version_id))

    async def post_approval(call: Call) -> Reply:
        """POST …/nightsafe/approvals/{script_name}."""
        try:
            new = msgspec.convert(await call.json(), _NewApproval)
        except msgspec.ValidationError:
            raise NightsafeError(
                Code.INVALID,
                "send an object with 'version', a UUID, and 'approval', an object that `nightsafe approve` signs",
            ) from None
        await services.approvals.approve(call.caller, call.script, parse_version_id(new.version), new.approval)
        return success({"version": new.version, "key": new.approval.key})

    return [
        Resource("GET", _AT, Action.READ_SCRIPTS, get_approvals),
        Resource("GET", f"{_AT}/manifest", Action.READ_SCRIPTS, get_manifest),
        Resource("POST", _AT, Action.APPROVE, post_approval),
    ]


def to_json(stored: StoredApproval) -> dict[str, Any]:
    """Return an approval as JSON."""
    return {
        "version": str(uuid.UUID(bytes=stored.version_id)),
        "key": stored.approval.key,
        "made_on": format_time(stored.approval.made_at),
        "approval": stored.approval,
    }
