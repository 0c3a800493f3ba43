"""Workers as the newer resource `workers/workers` shows them: one object with all settings of a script.

Source: `workers/workers` in the Cloudflare v4 API's specification.
"""

import base64
import re
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from nightsafe.bindings.json_fields import need_array, need_object, need_string, pointer_to
from nightsafe.bindings.unknown_members import require_known, unknown_member_notices
from nightsafe.errors import Code, NightsafeError
from nightsafe.services.caller import Caller, collection_change, now, script_change
from nightsafe.services.collections import commit_collection
from nightsafe.services.commit import commit, retry_conflicts
from nightsafe.services.limits import Limits
from nightsafe.services.lookup import find_script
from nightsafe.services.merge_patch import merge_patch
from nightsafe.services.notices import Notices, settings_notices
from nightsafe.services.scripts.modules import Part
from nightsafe.services.scripts.setting_fields import SCRIPT_LEVEL, encode_settings, script_settings
from nightsafe.services.scripts.setting_forms import check_consumers, unknown_setting_notices
from nightsafe.services.scripts.triggers import parse_subdomain
from nightsafe.services.scripts.upload import ParsedUpload, parse_upload
from nightsafe.services.secrets.seal import Safe
from nightsafe.services.secrets.secrets import SecretsPatch, parse_secrets
from nightsafe.services.target_access import TargetAccess
from nightsafe.services.versions.annotations import annotation_notices, parse_annotations
from nightsafe.services.workers.previews import PreviewPatch, Previews, parse_previews
from nightsafe.store.changes import Change
from nightsafe.store.collections import Item
from nightsafe.store.interface import Store
from nightsafe.store.script_edit import ScriptEdit, SettingsUpdate
from nightsafe.store.scripts import Binding, Script, ScriptRef

PREVIEWS = ("previews_base_config", "preview_defaults")
"""The member with the previews' base configuration: its current name and its old name."""

OWN = tuple(name for name in SCRIPT_LEVEL if name != "streaming_tail_consumers")
"""The script settings that this resource has."""

MEMBERS = (*OWN, *PREVIEWS, "name", "subdomain")
"""The members that a request may change."""

_READ_BACK = ("created_on", "deployed_on", "id", "references", "updated_on")
"""Other members that reads show. Clients may send them back."""

_ID = re.compile(r"[0-9a-f]{32}")


class WorkerDetails(Struct, frozen=True):
    """A script with everything that reads show.

    Attributes:
        script: the script.
        deployed_on: the time of its last deployment, in microseconds; None if it was never deployed.
        previews: JSON object of the settings in the previews' base configuration.
        items: the bindings in the previews' base configuration.
    """

    script: Script
    deployed_on: int | None
    previews: bytes
    items: Sequence[Item]


class WorkerPatch(Struct, frozen=True):
    """A merge patch of a script.

    Attributes:
        own: script settings to merge; None resets a setting.
        triggers: triggers to merge.
        previews: the patch of the previews' base configuration, or None to leave it unchanged.
        notices: members that have no effect or are unknown.
    """

    own: dict[str, Any]
    triggers: dict[str, bool]
    previews: PreviewPatch | None
    notices: Notices = ()


class Workers:
    """The use cases of the resource `workers/workers`."""

    def __init__(self, store: Store, safe: Safe, limits: Limits) -> None:
        self._store = store
        self._previews = Previews(store, safe, limits)
        self._targets = TargetAccess(store)

    async def find(self, account_id: str, key: str) -> Script:
        """Return a script by its ID or, if no script has this ID, by its name.

        The safe chooses IDs; users choose names. With the ID first, a script named like another script's ID cannot
        receive requests meant for that script.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND.
        """
        script = await self._store.script_by_id(account_id, key) if _ID.fullmatch(key) else None
        return script or await find_script(self._store, ScriptRef(account_id, key))

    async def details(self, script: Script) -> WorkerDetails:
        """Return a script with everything that reads show.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND, if it is deleted in the meantime.
        """
        deployed_on = await self._store.last_deployed(script)
        previews, items = await self._previews.base_config(script.ref)
        return WorkerDetails(script, deployed_on, previews, items)

    async def deployed_on(self, script: Script) -> int | None:
        """Return when a script was last deployed; None if never."""
        return await self._store.last_deployed(script)

    async def edit(self, caller: Caller, script: Script, patch: WorkerPatch) -> WorkerDetails:
        """Change everything about a script that does not belong to a version, and return the script.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND, TARGET_NOT_GRANTED, and any error that `Previews.seal` and
                `Previews.base_config_edit` raise.
        """
        await self._targets.check_settings(caller, script.ref, msgspec.json.encode(patch.own))
        put = () if patch.previews is None else await self._previews.seal(caller, script.ref, patch.previews)

        async def attempt() -> None:
            """Read the script, and commit the change."""
            change = await self._change(caller, await find_script(self._store, script.ref), patch, put)
            if change is not None:
                await (
                    commit(self._store, change)
                    if change.collection_edit is None
                    else commit_collection(self._store, change)
                )

        await retry_conflicts(attempt)
        return await self.details(await find_script(self._store, script.ref))

    async def _change(
        self, caller: Caller, script: Script, patch: WorkerPatch, put: Sequence[Binding]
    ) -> Change | None:
        """Return the change for a patch, with the sealed bindings of previews; None if the patch is empty."""
        before = msgspec.json.decode(script.script_settings)
        own = {name: merge_patch(before.get(name), value) for name, value in patch.own.items()}
        edit = ScriptEdit(
            ref=script.ref,
            script_settings=SettingsUpdate(encode_settings(own), merge=True, expected=script.script_settings)
            if own
            else None,
            triggers=msgspec.json.encode(patch.triggers) if patch.triggers else None,
        )
        altered = bool(own or patch.triggers)
        if patch.previews is None:
            return script_change(caller, "workers.edit", edit) if altered else None
        at = now()
        collection_edit = await self._previews.base_config_edit(script.ref, patch.previews, put, at)
        return collection_change(caller, "workers.edit", collection_edit, at, edit if altered else None)


def parse_worker(raw: object, limits: Limits) -> WorkerPatch:
    """Parse a merge patch of a script in a request body (RFC 7396).

    Raises:
        NightsafeError: INVALID or a code of a binding, with a pointer.
    """
    body = need_object(raw, "", "the body")
    require_known(body, MEMBERS, "", "the body")
    own = {name: body[name] for name in OWN if name in body}
    if own.get("tail_consumers") is not None:
        consumers = need_array(body, "tail_consumers", "")
        check_consumers(consumers, "/tail_consumers", "name")
        own["tail_consumers"] = [{"service": consumer["name"]} for consumer in consumers]
    script_settings(own)
    present = [name for name in PREVIEWS if body.get(name) is not None]
    if len(present) > 1:
        raise NightsafeError(
            Code.INVALID, f"'{PREVIEWS[1]}' is the old name of '{PREVIEWS[0]}': send only one of them", ""
        )
    subdomain = body.get("subdomain")
    previews = parse_previews(body[present[0]], f"/{present[0]}", limits) if present else None
    previews_notices = () if previews is None else unknown_setting_notices(previews.settings, f"/{present[0]}")
    return WorkerPatch(
        own,
        {} if subdomain is None else parse_subdomain(subdomain, "/subdomain", partly=True),
        previews,
        (*settings_notices(own), *previews_notices, *unknown_member_notices(body, (*MEMBERS, *_READ_BACK), "")),
    )


def parse_version_patch(raw: object, limits: Limits) -> SecretsPatch:
    """Parse a merge patch of a version's secrets in a request body.

    Raises:
        NightsafeError: UNSUPPORTED, for other members of a version; INVALID, if `env` is missing;
            TOO_MANY_OPERATIONS, or a problem for each refused secret.
    """
    body = need_object(raw, "", "the body")
    if any(value is not None for name, value in body.items() if name not in {"env", "annotations"}):
        raise NightsafeError(Code.UNSUPPORTED, "patch anything in a version except its secrets: upload a new version")
    if body.get("env") is None:
        sentence = "'env' is missing: set it to an object with each secret under its name, and null to delete one"
        raise NightsafeError(Code.INVALID, sentence, "/env")
    secrets, dropped = parse_secrets(need_object(body["env"], "/env", "'env'"), "/env", limits)
    annotations = body.get("annotations")
    return SecretsPatch(secrets, dropped, parse_annotations(annotations, limits), annotation_notices(annotations))


def parse_version(raw: object, limits: Limits, *, deployed: bool) -> ParsedUpload:
    """Parse an upload in one JSON object: the metadata of a form upload, and the files in base64.

    Args:
        raw: the JSON value.
        limits: the limits on uploads.
        deployed: whether the new version is deployed at once.

    Raises:
        NightsafeError: like `parse_upload`.
    """
    body = need_object(raw, "", "the body")
    metadata = {name: value for name, value in body.items() if name != "modules"}
    parts = [_part(module, index) for index, module in enumerate(_modules(body))]
    return parse_upload(metadata, parts, limits, deployed=deployed)


def _modules(body: dict[str, Any]) -> Sequence[Any]:
    """Return the files of an upload; there must be at least one.

    Raises:
        NightsafeError: INVALID.
    """
    modules = need_array(body, "modules", "")
    if not modules:
        raise NightsafeError(
            Code.INVALID, "'modules' is empty: it must have at least the Worker's main module", "/modules"
        )
    return modules


def _part(raw: object, index: int) -> Part:
    """Parse one file of an upload."""
    at = pointer_to("/modules", index)
    fields = need_object(raw, at, "a module")
    name, content_type = need_string(fields, "name", at), need_string(fields, "content_type", at)
    try:
        content = base64.b64decode(need_string(fields, "content_base64", at), validate=True)
    except ValueError:
        raise NightsafeError(
            Code.INVALID, "'content_base64' is not base64", pointer_to(at, "content_base64")
        ) from None
    return Part(name, content_type, content)
