"""Serves `…/nightsafe/bundles/{script_name}` and `…/nightsafe/modules/{digest}` to delivery processes.

These routes need the permission to deliver. No other permission includes it, and a token that has only this
permission can do nothing else.
"""

import re
from functools import partial
from typing import Final

from nightsafe.api.http.envelope import FIXED_HEADERS, Reply
from nightsafe.api.http.path import ACCOUNT
from nightsafe.api.http.request import Call
from nightsafe.api.http.routing import Resource
from nightsafe.api.http.streaming import ReplyBuilder
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.permissions import Action
from nightsafe.services.services import Services

_AT: Final = f"{ACCOUNT}/nightsafe"
_BINARY: Final = ((b"content-type", b"application/octet-stream"), *FIXED_HEADERS[1:])
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


def resources(services: Services) -> list[Resource]:
    """Return the routes of this module with their handlers."""

    async def get_bundle(call: Call) -> Reply:
        """GET …/nightsafe/bundles/{script_name}."""
        return Reply(200, await services.bundles.bundle(call.script), _BINARY)

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
