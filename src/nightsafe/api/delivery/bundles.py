"""Serves `…/nightsafe/bundles/{script_name}` and `…/nightsafe/modules/{digest}` to delivery processes.

These routes need the permission to deliver. No other permission includes it, and a token that has only this
permission can do nothing else.
"""

import re
from functools import partial
from typing import Final

from nightsafe.api.http.envelope import FIXED_HEADERS, Reply
from nightsafe.api.http.paging import fields_of
from nightsafe.api.http.path import ACCOUNT
from nightsafe.api.http.request import Call
from nightsafe.api.http.routing import Resource
from nightsafe.api.http.streaming import ReplyBuilder
from nightsafe.bundle.approvals.approval import ApprovedBy
from nightsafe.bundle.approvals.manifest import Covers
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.permissions import Action
from nightsafe.services.services import Services

_AT: Final = f"{ACCOUNT}/nightsafe"
_BINARY: Final = ((b"content-type", b"application/octet-stream"), *FIXED_HEADERS[1:])
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_KEY_IDS: Final = re.compile(r"(?:[0-9a-f]{16}(?:,[0-9a-f]{16}){0,99})?")
_NUMBER: Final = re.compile(r"[0-9]{1,17}")


def resources(services: Services) -> list[Resource]:
    """Return the routes of this module with their handlers."""

    async def get_bundle(call: Call) -> Reply:
        """GET …/nightsafe/bundles/{script_name}."""
        wanted = _approved_by(fields_of(call.query))
        return Reply(200, await services.bundles.bundle(call.script, wanted), _BINARY)

    async def get_module(call: Call) -> Reply:
        """GET …/nightsafe/modules/{digest}."""
        digest = call.names["digest"]
        contents_key = (call.account_id, bytes.fromhex(digest) if _DIGEST.fullmatch(digest) else b"")
        size = await services.contents.size(*contents_key)
        if size is None:
            raise NightsafeError(Code.BAD_IDENTIFIER, "a module with this SHA-256")
        builder = ReplyBuilder()
        builder.insert(size, partial(services.contents.slices, *contents_key, size))
        return builder.reply(_BINARY)

    return [
        Resource("GET", f"{_AT}/bundles/{{script_name}}", Action.DELIVER, get_bundle),
        Resource("GET", f"{_AT}/modules/{{digest}}", Action.DELIVER, get_module),
    ]


def _approved_by(fields: dict[str, str]) -> ApprovedBy | None:
    """Return the approvals that a delivery process accepts; None for a process that needs none."""
    keys, covers, since = fields.get("approved_by"), fields.get("covers", Covers.CODE), fields.get("since", "0")
    if keys is None:
        return None
    if not _KEY_IDS.fullmatch(keys):
        raise NightsafeError(Code.MALFORMED_PARAMETER, "approved_by")
    if covers not in {Covers.CODE, Covers.VALUES}:
        raise NightsafeError(Code.MALFORMED_PARAMETER, "covers")
    if not _NUMBER.fullmatch(since):
        raise NightsafeError(Code.MALFORMED_PARAMETER, "since")
    return ApprovedBy(tuple(keys.split(",")) if keys else (), Covers(covers), int(since))
