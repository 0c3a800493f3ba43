"""Serves `/accounts/{account_id}/nightsafe/scripts/{script_name}/secrets`: the version that last set each secret.

Cloudflare's API does not have this route. A client can tag the version that it makes, and later check whether a
secret is still the one that it set: `docs/decisions/0006-the-command-line.md`.
"""

import uuid
from typing import Any, Final

import msgspec

from nightsafe.api.http.envelope import Reply, success
from nightsafe.api.http.path import ACCOUNT
from nightsafe.api.http.request import Call
from nightsafe.api.http.routing import Resource
from nightsafe.api.http.times import format_time
from nightsafe.identity.permissions import Action
from nightsafe.services.secrets.secret_versions import SecretVersions
from nightsafe.store.references import SecretVersion

_PATH: Final = f"{ACCOUNT}/nightsafe/scripts/{{script_name}}/secrets"
_TAGS: Final = "version_tags"


def resources(secret_versions: SecretVersions) -> list[Resource]:
    """Return the route of this module with its handler."""

    async def list_secret_versions(call: Call) -> Reply:
        """GET …/nightsafe/scripts/{script_name}/secrets."""
        return success([to_json(secret_version) for secret_version in await secret_versions.list(call.script)])

    return [Resource("GET", _PATH, Action.READ_SECRETS, list_secret_versions)]


def to_json(secret_version: SecretVersion) -> dict[str, Any]:
    """Return a secret's name, and the version that last set it with its time, author and tags."""
    return {
        "name": secret_version.name,
        "version_id": str(uuid.UUID(bytes=secret_version.version_id)),
        _TAGS: msgspec.json.decode(secret_version.annotations).get(_TAGS, {}),
        "modified_on": format_time(secret_version.created_on),
        "modified_by": secret_version.author_email,
        "source": secret_version.source,
    }
