"""`/accounts/{account_id}/nightsafe/scripts/{script_name}/secrets`: when, by whom and in which version each was set.

No other server has it. With the tags that a client gives a version it makes, the client can tell later whether a
secret is still the one that it put: `docs/decisions/0006-the-command-line.md`.
"""

import uuid
from typing import Any, Final

import msgspec

from nightsafe.api.call import Call
from nightsafe.api.envelope import Reply, success
from nightsafe.api.path import ACCOUNT
from nightsafe.api.routing import Resource
from nightsafe.api.times import format_time
from nightsafe.identity.permissions import Action
from nightsafe.store.lookups import Origin
from nightsafe.workers.origins import Origins

_PATH: Final = f"{ACCOUNT}/nightsafe/scripts/{{script_name}}/secrets"
_TAGS: Final = "version_tags"


def resources(origins: Origins) -> list[Resource]:
    """The route of this page with its handler."""

    async def list_origins(call: Call) -> Reply:
        """GET …/nightsafe/scripts/{script_name}/secrets."""
        return success([_shown(one) for one in await origins.list(call.script)])

    return [Resource("GET", _PATH, Action.READ_SECRETS, list_origins)]


def _shown(origin: Origin) -> dict[str, Any]:
    """One secret's name, and the version that set it."""
    return {
        "name": origin.name,
        "version_id": str(uuid.UUID(bytes=origin.version_id)),
        _TAGS: msgspec.json.decode(origin.annotations).get(_TAGS, {}),
        "modified_on": format_time(origin.created_on),
        "modified_by": origin.author_email,
        "source": origin.source,
    }
