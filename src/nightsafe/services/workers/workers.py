"""A script as the newer resource `workers/workers` has it: one object with its settings of every level.

Source: `workers/workers` in the Cloudflare v4 API's specification.
"""

import base64
import re
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from nightsafe.bindings.json_fields import need_array, need_object, need_string, pointer_to
from nightsafe.bindings.unknown_members import need_known, unknown
from nightsafe.errors import Code, NightsafeError
from nightsafe.services.caller import Caller, change, collection_change, now
from nightsafe.services.collections import commit_collection
from nightsafe.services.commit import commit, until_undisturbed
from nightsafe.services.limits import Limits
from nightsafe.services.merge_patch import merge_patch
from nightsafe.services.notices import Notices, of_settings
from nightsafe.services.scripts.modules import Part
from nightsafe.services.scripts.setting_fields import encoded, script_settings
from nightsafe.services.scripts.setting_forms import check_consumers, unknown_in
from nightsafe.services.scripts.triggers import parse_subdomain
from nightsafe.services.scripts.upload import ParsedUpload, parse_upload
from nightsafe.services.secrets.seal import Safe
from nightsafe.services.secrets.secrets import Patch, parse_secrets
from nightsafe.services.target_access import TargetAccess
from nightsafe.services.versions.annotations import of_annotations, parse_annotations
from nightsafe.services.workers.previews import PreviewPatch, Previews, parse_previews
from nightsafe.store.changes import Change
from nightsafe.store.collections import Item
from nightsafe.store.interface import Store
from nightsafe.store.script_edit import ScriptEdit, Settings
from nightsafe.store.scripts import Binding, Script, ScriptRef

PREVIEWS = ("previews_base_config", "preview_defaults")
"""What previews begin with: the name there is now, and the one that it had."""

OWN = ("logpush", "observability", "tags", "tail_consumers")
"""Settings that are a script's own."""

MEMBERS = (*OWN, *PREVIEWS, "name", "subdomain")
"""All that a request may change of a script here."""

_READ_BACK = ("created_on", "deployed_on", "id", "references", "updated_on")
"""What reads show beside, and clients may send back."""

_ID = re.compile(r"[0-9a-f]{32}")


class Whole(Struct, frozen=True):
    """A script with all that is told of it.

    Attributes:
        script: itself.
        deployed_on: when what it serves was deployed, in microseconds; None when nothing is.
        previews: JSON object of the settings that previews begin with.
        items: bindings that previews begin with.
    """

    script: Script
    deployed_on: int | None
    previews: bytes
    items: Sequence[Item]


class WorkerPatch(Struct, frozen=True):
    """A merge patch of a script.

    Attributes:
        own: settings of the script itself to merge, None for those to reset.
        triggers: what no upload touches, to merge.
        previews: what previews begin with, or None to leave it.
        notices: what of it is kept and does nothing, or is not known.
    """

    own: dict[str, Any]
    triggers: dict[str, bool]
    previews: PreviewPatch | None
    notices: Notices = ()


class Workers:
    """The use cases."""

    def __init__(self, store: Store, safe: Safe, limits: Limits) -> None:
        self._store = store
        self._previews = Previews(store, safe, limits)
        self._targets = TargetAccess(store)

    async def find(self, account_id: str, key: str) -> Script:
        """A script by its id or, when none has it, by its name.

        Ids are given by the safe and names by anybody: a script that is called like another's id takes nothing of
        what is meant for that one.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND.
        """
        script = await self._store.script_by_id(account_id, key) if _ID.fullmatch(key) else None
        if script is None:
            script = await self._store.script(ScriptRef(account_id, key))
        if script is None:
            raise NightsafeError(Code.SCRIPT_NOT_FOUND)
        return script

    async def whole(self, script: Script) -> Whole:
        """A script with all that is told of it.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND, when it is deleted meanwhile.
        """
        deployed_on = await self._store.last_deployed(script)
        previews, items = await self._previews.get(script.ref)
        return Whole(script, deployed_on, previews, items)

    async def deployed_on(self, script: Script) -> int | None:
        """When a script was last deployed; None for never."""
        return await self._store.last_deployed(script)

    async def edit(self, caller: Caller, script: Script, patch: WorkerPatch) -> Whole:
        """Change a script in all that is not of a version; gives it as it is then.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND, TARGET_NOT_GRANTED, and what `Previews.seal` and `Previews.edit` raise.
        """
        await self._targets.check_settings(caller, script.ref, msgspec.json.encode(patch.own))
        put = () if patch.previews is None else await self._previews.seal(caller, script.ref, patch.previews)

        async def attempt() -> None:
            """Look and commit."""
            wanted = await self._change(caller, await self._named(script.ref), patch, put)
            if wanted is not None:
                await (
                    commit(self._store, wanted)
                    if wanted.collection_edit is None
                    else commit_collection(self._store, wanted)
                )

        await until_undisturbed(attempt)
        return await self.whole(await self._named(script.ref))

    async def _named(self, ref: ScriptRef) -> Script:
        """A script by its name."""
        script = await self._store.script(ref)
        if script is None:
            raise NightsafeError(Code.SCRIPT_NOT_FOUND)
        return script

    async def _change(
        self, caller: Caller, script: Script, patch: WorkerPatch, put: Sequence[Binding]
    ) -> Change | None:
        """The change that a patch comes to, with what previews get of it sealed; None when it names nothing."""
        before = msgspec.json.decode(script.script_settings)
        own = {name: merge_patch(before.get(name), value) for name, value in patch.own.items()}
        edit = ScriptEdit(
            ref=script.ref,
            script_settings=Settings(encoded(own), merge=True, over=script.script_settings) if own else None,
            triggers=msgspec.json.encode(patch.triggers) if patch.triggers else None,
        )
        altered = bool(own or patch.triggers)
        if patch.previews is None:
            return change(caller, "workers.edit", edit) if altered else None
        at = now()
        collection_edit = await self._previews.edit(script.ref, patch.previews, put, at)
        return collection_change(caller, "workers.edit", collection_edit, at, edit if altered else None)


def parse_worker(raw: object, limits: Limits) -> WorkerPatch:
    """A merge patch of a script from a request body (RFC 7396).

    Raises:
        NightsafeError: INVALID or a code of a binding, with a pointer.
    """
    body = need_object(raw, "", "the body")
    need_known(body, MEMBERS, "", "the body")
    own = {name: body[name] for name in OWN if name in body}
    if own.get("tail_consumers") is not None:
        consumers = need_array(body, "tail_consumers", "")
        check_consumers(consumers, "/tail_consumers", "name")
        own["tail_consumers"] = [{"service": one["name"]} for one in consumers]
    script_settings(own)
    given = [name for name in PREVIEWS if body.get(name) is not None]
    if len(given) > 1:
        raise NightsafeError(Code.INVALID, f"'{PREVIEWS[1]}' is the old name of '{PREVIEWS[0]}': give one", "")
    subdomain = body.get("subdomain")
    previews = parse_previews(body[given[0]], f"/{given[0]}", limits) if given else None
    strange = () if previews is None else unknown_in(previews.settings, f"/{given[0]}")
    return WorkerPatch(
        own,
        {} if subdomain is None else parse_subdomain(subdomain, "/subdomain", partly=True),
        previews,
        (*of_settings(own), *strange, *unknown(body, (*MEMBERS, *_READ_BACK), "")),
    )


def parse_version_patch(raw: object, limits: Limits) -> Patch:
    """A merge patch of a version's secrets from a request body.

    Raises:
        NightsafeError: UNSUPPORTED, for anything else of a version; INVALID, without `env`; TOO_MANY_OPERATIONS, or
            one problem for each secret that is refused.
    """
    body = need_object(raw, "", "the body")
    if any(value is not None for name, value in body.items() if name not in {"env", "annotations"}):
        raise NightsafeError(Code.UNSUPPORTED, "patch anything of a version but its secrets: upload one")
    if body.get("env") is None:
        sentence = "'env' is missing: give an object of secrets by their names, null for each to drop"
        raise NightsafeError(Code.INVALID, sentence, "/env")
    secrets, dropped = parse_secrets(need_object(body["env"], "/env", "'env'"), "/env", limits)
    annotations = body.get("annotations")
    return Patch(secrets, dropped, parse_annotations(annotations, limits), of_annotations(annotations))


def parse_version(raw: object, limits: Limits, *, in_force: bool) -> ParsedUpload:
    """An upload in one JSON object: what a form has as metadata, with the files in base64.

    Args:
        raw: the JSON value.
        limits: what it must keep to.
        in_force: whether the version that it makes is served at once.

    Raises:
        NightsafeError: as `parse_upload`.
    """
    body = need_object(raw, "", "the body")
    metadata = {name: value for name, value in body.items() if name != "modules"}
    parts = [_part(one, index) for index, one in enumerate(_modules(body))]
    return parse_upload(metadata, parts, limits, in_force=in_force)


def _modules(body: dict[str, Any]) -> Sequence[Any]:
    """The files of an upload: there must be one."""
    modules = need_array(body, "modules", "")
    if not modules:
        raise NightsafeError(
            Code.INVALID, "'modules' is empty: give the module that the Worker starts with", "/modules"
        )
    return modules


def _part(raw: object, index: int) -> Part:
    """One file of an upload."""
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
