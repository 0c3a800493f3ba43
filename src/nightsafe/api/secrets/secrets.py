"""Serves `…/workers/scripts/{script_name}/secrets`, `/secrets/{secret_name}` and `/secrets-bulk`."""

from collections.abc import Iterable
from contextlib import suppress
from urllib.parse import unquote

import msgspec
from msgspec import Struct

from nightsafe.api.http.envelope import Reply, array, success, success_raw
from nightsafe.api.http.path import SCRIPT
from nightsafe.api.http.request import Call
from nightsafe.api.http.routing import Resource
from nightsafe.bindings.parse import parse_secret
from nightsafe.errors import NightsafeError
from nightsafe.identity.permissions import Action
from nightsafe.services.secrets.secrets import Secrets, parse_patch
from nightsafe.services.services import Services


def resources(services: Services, at: str = SCRIPT) -> list[Resource]:
    """Return the routes of this module with their handlers, below the path of a script.

    A write makes a version. If that version is not served, because of something else in it, the answer says so.
    """
    secrets, admission = services.secrets, services.admission

    async def list_secrets(call: Call) -> Reply:
        """GET …/secrets."""
        return success_raw(array(await secrets.list(call.script)))

    async def put_secret(call: Call) -> Reply:
        """PUT …/secrets."""
        secret = parse_secret(await call.json())
        public_json = await secrets.put(call.caller, call.script, secret)
        return success_raw(public_json, await admission.notices_for_newest(call.script))

    async def get_secret(call: Call) -> Reply:
        """GET …/secrets/{secret_name}. With `url_encoded`, the client may have encoded the name twice."""
        return success_raw(await secrets.get(call.script, await _secret_name(call, secrets)))

    async def delete_secret(call: Call) -> Reply:
        """DELETE …/secrets/{secret_name}."""
        await secrets.delete(call.caller, call.script, await _secret_name(call, secrets))
        return success(None, await admission.notices_for_newest(call.script))

    async def patch_secrets(call: Call) -> Reply:
        """PATCH …/secrets-bulk."""
        patch = parse_patch(await call.json(merge_patch=True), call.limits)
        public_jsons = await secrets.patch(call.caller, call.script, patch)
        return success_raw(
            _object_by_name(public_jsons), (*await admission.notices_for_newest(call.script), *patch.notices)
        )

    return [
        Resource("GET", f"{at}/secrets", Action.READ_SECRETS, list_secrets),
        Resource("PUT", f"{at}/secrets", Action.WRITE_SECRETS, put_secret),
        Resource("GET", f"{at}/secrets/{{secret_name}}", Action.READ_SECRETS, get_secret),
        Resource("DELETE", f"{at}/secrets/{{secret_name}}", Action.WRITE_SECRETS, delete_secret),
        Resource("PATCH", f"{at}/secrets-bulk", Action.WRITE_SECRETS, patch_secrets),
    ]


async def _secret_name(call: Call, secrets: Secrets) -> str:
    """Return the secret that a path names.

    With `url_encoded=true`, and if no secret has the name in the path, the name is decoded once more: some clients
    encode the name themselves, and then their library encodes it again.
    """
    name = call.names["secret_name"]
    if "%" not in name or not call.has_parameter("url_encoded", "true"):
        return name
    for candidate in (name, unquote(name)):
        with suppress(NightsafeError):
            await secrets.get(call.script, candidate)
            return candidate
    return name


class _NamedSecret(Struct):
    """The member of a shown secret that becomes its key in the answer."""

    name: str


_names = msgspec.json.Decoder(_NamedSecret)


def _object_by_name(public_jsons: Iterable[bytes]) -> bytes:
    """Return a JSON object with each shown secret under its name."""
    return (
        b"{"
        + b",".join(msgspec.json.encode(_names.decode(secret).name) + b":" + secret for secret in public_jsons)
        + b"}"
    )
