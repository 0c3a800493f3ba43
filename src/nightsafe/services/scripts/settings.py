"""The settings of a script: version settings with the bindings, and script settings.

A change of version settings makes a version with the current code and deploys it at 100 %.

Source: `workers/scripts/{script_name}/settings` and `/script-settings` in the Cloudflare v4 API's specification.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from nightsafe.bindings.json_fields import need_array, need_object
from nightsafe.bindings.unknown_members import require_known, unknown_member_notices
from nightsafe.errors import Code, NightsafeError
from nightsafe.services.caller import Caller, new_stamp, script_change
from nightsafe.services.commit import commit
from nightsafe.services.delivery.admission import Admission, required_scripts
from nightsafe.services.limits import Limits
from nightsafe.services.lookup import find_newest_version, find_script
from nightsafe.services.notices import Notices, settings_notices
from nightsafe.services.scripts import setting_fields
from nightsafe.services.scripts.bindings_update import (
    ParsedBinding,
    ResolvedBindings,
    needs_existing,
    parse_bindings,
    resolve,
)
from nightsafe.services.scripts.kept_bindings import kept_kinds
from nightsafe.services.secrets.seal import Safe
from nightsafe.services.secrets_store.access import check_store_access
from nightsafe.services.target_access import TargetAccess
from nightsafe.services.versions.annotations import annotation_notices, parse_annotations
from nightsafe.store.changes import Outcome
from nightsafe.store.interface import Store
from nightsafe.store.script_edit import ScriptEdit, SettingsUpdate
from nightsafe.store.scripts import Binding, Script, ScriptRef, Version

_SCRIPT_MEMBERS = frozenset(setting_fields.SCRIPT_LEVEL)
_MEMBERS = (
    _SCRIPT_MEMBERS
    | frozenset(setting_fields.VERSION_LEVEL)
    | {
        "annotations",
        "bindings",
        "keep_bindings",
        "migrations",
    }
)

USAGE_MODELS = ("standard", "bundled", "unbound")


class SettingsPatch(Struct, frozen=True, kw_only=True):
    """A change of settings that has passed every check that does not need the store.

    Attributes:
        bindings: all bindings that the script will have, or None to leave them unchanged.
        keep: the types of bindings to keep although `bindings` does not name them.
        version_level: JSON object to merge over the version settings, or None.
        script_level: JSON object to merge over the script settings, or None.
        annotations: JSON object with the annotations of the new version.
        notices: settings in the request that have no effect.
    """

    bindings: tuple[ParsedBinding, ...] | None = None
    keep: frozenset[str] = frozenset()
    version_level: bytes | None = None
    script_level: bytes | None = None
    annotations: bytes = b"{}"
    notices: Notices = ()


class AllSettings(Struct, frozen=True):
    """A script and its newest version with settings and bindings, and the notices of a change."""

    script: Script
    version: Version
    bindings: Sequence[Binding]
    notices: Notices = ()


class ScriptSettings:
    """The use cases of settings. Secret values pass to the safe and are wiped afterwards."""

    def __init__(self, store: Store, safe: Safe, limits: Limits, admission: Admission) -> None:
        self._store = store
        self._safe = safe
        self._limits = limits
        self._admission = admission
        self._targets = TargetAccess(store)

    async def get(self, ref: ScriptRef) -> AllSettings:
        """Return all settings and bindings of a script.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND.
        """
        script = await find_script(self._store, ref)
        version = await find_newest_version(self._store, ref)
        return AllSettings(script, version, await self._store.bindings(ref))

    async def patch(self, caller: Caller, ref: ScriptRef, patch: SettingsPatch) -> AllSettings:
        """Change settings and bindings in one version, and return all of them after the change.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND, SETTINGS_NOT_LIVE, INHERIT, INHERIT_RENAMED, TOO_MANY_BINDINGS,
                STORE_NOT_GRANTED, TARGET_NOT_GRANTED, or a code of a binding.
        """
        if (patch.bindings, patch.version_level, patch.script_level) == (None, None, None):
            return await self.get(ref)
        await self._targets.check_settings(caller, ref, patch.script_level)
        edit, not_served = await self._edit(caller, ref, patch)
        outcome = await commit(self._store, script_change(caller, "settings.patch", edit))
        if outcome.script is None or outcome.newest is None:
            raise NightsafeError(Code.STORE, "the store did not return the settings")
        bindings = await self._store.bindings(ref, outcome.newest.number)
        return AllSettings(outcome.script, outcome.newest, bindings, (*not_served, *patch.notices))

    async def patch_script_level(self, caller: Caller, ref: ScriptRef, body: object) -> tuple[Script, Notices]:
        """Change the script settings. This makes no version.

        Args:
            caller: the caller.
            ref: the script.
            body: JSON object; a null member is reset, an absent one stays.

        Returns:
            The changed script, and notices of settings that have no effect.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND, TARGET_NOT_GRANTED, or INVALID with a pointer into the body.
        """
        merge, notices = parse_script_level(body)
        if merge is None:
            return await find_script(self._store, ref), notices
        await self._targets.check_settings(caller, ref, merge)
        edit = ScriptEdit(ref=ref, script_settings=SettingsUpdate(merge, merge=True))
        script = _require_script(await commit(self._store, script_change(caller, "script_settings.patch", edit)))
        return script, (*settings_notices(msgspec.json.decode(merge)), *notices)

    async def _edit(self, caller: Caller, ref: ScriptRef, patch: SettingsPatch) -> tuple[ScriptEdit, Notices]:
        """Return the edit for the store, with its secrets sealed, and notices of what cannot be served."""
        resolved, based_on = None, None
        if patch.bindings is not None:
            resolved, based_on = await self._resolve(caller, ref, patch.bindings, patch.keep)
        notices = await self._admission.check_settings(
            ref,
            version_level=patch.version_level,
            new_bindings=None if resolved is None else (*resolved.secrets, *resolved.plain),
            keep=patch.keep,
            inherits=() if resolved is None else resolved.bindings_update.inherits,
        )
        bindings = () if resolved is None else await self._sealed_bindings(ref, resolved)
        trigger = "secret" if any(binding.sealed is not None for binding in bindings) else "settings"
        edit = ScriptEdit(
            ref=ref,
            stamp=new_stamp(caller, trigger, patch.annotations),
            set=bindings,
            bindings_update=None if resolved is None else resolved.bindings_update,
            settings=_merging_update(patch.version_level),
            script_settings=_merging_update(patch.script_level),
            must_be_live=Code.SETTINGS_NOT_LIVE,
            needs=() if resolved is None else required_scripts(ref, resolved.plain),
            based_on=based_on,
            max_variables=self._limits.max_variables,
        )
        return edit, notices

    async def _resolve(
        self, caller: Caller, ref: ScriptRef, parsed: tuple[ParsedBinding, ...], keep: frozenset[str]
    ) -> tuple[ResolvedBindings, int | None]:
        """Resolve the bindings of a request, and check their targets.

        Returns:
            The bindings to make and to keep, and the number that the newest version must still have at the commit;
                None if
            that does not matter.
        """
        existing = await self._store.bindings(ref) if needs_existing(parsed) else ()
        resolved = resolve(parsed, existing)
        check_store_access(caller, ref.account_id, resolved.plain)
        based_on = await self._targets.check_bindings(caller, ref, resolved.plain)
        await self._admission.check_targets(ref, resolved.plain)
        return replace(resolved, bindings_update=replace(resolved.bindings_update, keep=keep)), based_on

    async def _sealed_bindings(self, ref: ScriptRef, resolved: ResolvedBindings) -> tuple[Binding, ...]:
        """Return the bindings to make in the form of the store, with secrets sealed."""
        sealed = await self._safe.seal_all(ref, resolved.secrets)
        return sealed + tuple(
            Binding(binding.name, binding.kind, binding.public_json()) for binding in resolved.plain
        )


def parse_settings(raw: object, limits: Limits) -> SettingsPatch:
    """Parse a change of settings in a request body; a null setting is reset, an absent one stays.

    Raises:
        NightsafeError: INVALID or a code of a binding, with a pointer into the body; a problem for each binding.
    """
    body = need_object(raw, "", "the settings")
    require_known(body, _MEMBERS, "", "the settings")
    if body.get("migrations") is not None:
        raise NightsafeError(
            Code.UNSUPPORTED, "apply migrations in a change of settings: upload the script with them", "/migrations"
        )
    bindings = body.get("bindings")
    return SettingsPatch(
        bindings=None if bindings is None else parse_bindings(need_array(body, "bindings", ""), limits),
        keep=frozenset() if body.get("keep_bindings") is None else kept_kinds(body, deployed=True),
        version_level=_settings_to_merge(body, setting_fields.VERSION_LEVEL, setting_fields.version_settings),
        script_level=_settings_to_merge(body, setting_fields.SCRIPT_LEVEL, setting_fields.script_settings),
        annotations=parse_annotations(body.get("annotations"), limits),
        notices=(
            *settings_notices(body),
            *annotation_notices(body.get("annotations")),
            *unknown_member_notices(body, _MEMBERS, ""),
        ),
    )


def parse_script_level(raw: object) -> tuple[bytes | None, Notices]:
    """Parse a change of script settings in a request body.

    Returns:
        The JSON to merge over the script settings, or None if there is nothing to merge; and notices of unknown
            members.

    Raises:
        NightsafeError: INVALID, with a pointer into the body.
    """
    body = need_object(raw, "", "the body")
    require_known(body, _SCRIPT_MEMBERS, "", "the body")
    merge = _settings_to_merge(body, setting_fields.SCRIPT_LEVEL, setting_fields.script_settings)
    return merge, unknown_member_notices(body, _SCRIPT_MEMBERS, "")


def parse_usage_model(raw: object) -> SettingsPatch:
    """Parse a change of the usage model alone.

    Raises:
        NightsafeError: INVALID, with a pointer into the body.
    """
    model = need_object(raw, "", "the body").get("usage_model")
    if model not in USAGE_MODELS:
        raise NightsafeError(Code.INVALID, f"'usage_model' must be one of {', '.join(USAGE_MODELS)}", "/usage_model")
    return SettingsPatch(version_level=setting_fields.encode_settings({"usage_model": model}))


def _settings_to_merge(
    body: dict[str, Any], level: dict[str, type], check: Callable[[dict[str, Any]], dict[str, Any]]
) -> bytes | None:
    """Return the checked settings of one level in a body; None if it has no such settings.

    Settings to reset are null in the result.
    """
    reset = {name: None for name in level if name in body and body[name] is None}
    merge = reset | check(body)
    return setting_fields.encode_settings(merge) if merge else None


def _merging_update(merge: bytes | None) -> SettingsUpdate | None:
    """Return settings in the form in which the store merges them."""
    return None if merge is None else SettingsUpdate(merge, merge=True)


def _require_script(outcome: Outcome) -> Script:
    """Return the script after an edit of its settings."""
    if outcome.script is None:
        raise NightsafeError(Code.STORE, "the store did not return the script")
    return outcome.script
