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
from nightsafe.bindings.unknown_members import need_known, unknown
from nightsafe.errors import Code, NightsafeError
from nightsafe.services.caller import Caller, change, stamp
from nightsafe.services.commit import commit
from nightsafe.services.delivery.admission import Admission, needs_of
from nightsafe.services.limits import Limits
from nightsafe.services.notices import Notices, of_settings
from nightsafe.services.scripts import setting_fields
from nightsafe.services.scripts.bindings_update import (
    Entry,
    ResolvedBindings,
    needs_existing,
    parse_bindings,
    resolve,
)
from nightsafe.services.scripts.kept_bindings import kept_kinds
from nightsafe.services.secrets.seal import Safe
from nightsafe.services.secrets_store.access import check_store_access
from nightsafe.services.target_access import TargetAccess
from nightsafe.services.versions.annotations import of_annotations, parse_annotations
from nightsafe.store.changes import Outcome
from nightsafe.store.interface import Store
from nightsafe.store.script_edit import ScriptEdit
from nightsafe.store.script_edit import Settings as StoredSettings
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
        versioned: JSON object to merge over the version settings, or None.
        of_script: JSON object to merge over the script settings, or None.
        annotations: JSON object with the annotations of the new version.
        notices: settings in the request that have no effect.
    """

    bindings: tuple[Entry, ...] | None = None
    keep: frozenset[str] = frozenset()
    versioned: bytes | None = None
    of_script: bytes | None = None
    annotations: bytes = b"{}"
    notices: Notices = ()


class AllSettings(Struct, frozen=True):
    """A script and its newest version with settings and bindings, and the notices of a change."""

    script: Script
    version: Version
    bindings: Sequence[Binding]
    notices: Notices = ()


class Settings:
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
        script = await self.get_script_level(ref)
        version = await self._store.version(ref)
        if version is None:
            raise NightsafeError(Code.SCRIPT_NOT_FOUND)
        return AllSettings(script, version, await self._store.bindings(ref))

    async def patch(self, caller: Caller, ref: ScriptRef, patch: SettingsPatch) -> AllSettings:
        """Change settings and bindings in one version, and return all of them after the change.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND, SETTINGS_NOT_LIVE, INHERIT, INHERIT_RENAMED, TOO_MANY_BINDINGS,
                STORE_NOT_GRANTED, TARGET_NOT_GRANTED, or a code of a binding.
        """
        if (patch.bindings, patch.versioned, patch.of_script) == (None, None, None):
            return await self.get(ref)
        await self._targets.check_settings(caller, ref, patch.of_script)
        edit, not_served = await self._edit(caller, ref, patch)
        outcome = await commit(self._store, change(caller, "settings.patch", edit))
        if outcome.script is None or outcome.newest is None:
            raise NightsafeError(Code.STORE, "the store did not return the settings")
        bindings = await self._store.bindings(ref, outcome.newest.number)
        return AllSettings(outcome.script, outcome.newest, bindings, (*not_served, *patch.notices))

    async def get_script_level(self, ref: ScriptRef) -> Script:
        """Return the script, which has the script settings.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND.
        """
        script = await self._store.script(ref)
        if script is None:
            raise NightsafeError(Code.SCRIPT_NOT_FOUND)
        return script

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
        merge, strange = parse_script_level(body)
        if merge is None:
            return await self.get_script_level(ref), strange
        await self._targets.check_settings(caller, ref, merge)
        edit = ScriptEdit(ref=ref, script_settings=StoredSettings(merge, merge=True))
        script = _script_of(await commit(self._store, change(caller, "script_settings.patch", edit)))
        return script, (*of_settings(msgspec.json.decode(merge)), *strange)

    async def _edit(self, caller: Caller, ref: ScriptRef, patch: SettingsPatch) -> tuple[ScriptEdit, Notices]:
        """Return the edit for the store, with its secrets sealed, and notices of what cannot be served."""
        wanted, seen = None, None
        if patch.bindings is not None:
            wanted, seen = await self._resolve(caller, ref, patch.bindings, patch.keep)
        not_served = await self._admission.settings(
            ref,
            versioned=patch.versioned,
            made=None if wanted is None else (*wanted.secrets, *wanted.plain),
            keep=patch.keep,
            inherits=() if wanted is None else wanted.bindings_update.inherits,
        )
        made = () if wanted is None else await self._made(ref, wanted)
        trigger = "secret" if any(binding.sealed is not None for binding in made) else "settings"
        edit = ScriptEdit(
            ref=ref,
            stamp=stamp(caller, trigger, patch.annotations),
            set=made,
            bindings_update=None if wanted is None else wanted.bindings_update,
            settings=_merged(patch.versioned),
            script_settings=_merged(patch.of_script),
            must_be_live=Code.SETTINGS_NOT_LIVE,
            needs=() if wanted is None else needs_of(ref, wanted.plain),
            based_on=seen,
            max_variables=self._limits.max_variables,
        )
        return edit, not_served

    async def _resolve(
        self, caller: Caller, ref: ScriptRef, entries: tuple[Entry, ...], keep: frozenset[str]
    ) -> tuple[ResolvedBindings, int | None]:
        """Resolve the bindings of a request, and check their targets.

        Returns:
            The bindings to make and to keep, and the number that the newest version must still have at the commit;
                None if
            that does not matter.
        """
        existing = await self._store.bindings(ref) if needs_existing(entries) else ()
        wanted = resolve(entries, existing)
        check_store_access(caller, ref.account_id, wanted.plain)
        seen = await self._targets.check_bindings(caller, ref, wanted.plain)
        await self._admission.check_targets(ref, wanted.plain)
        return replace(wanted, bindings_update=replace(wanted.bindings_update, keep=keep)), seen

    async def _made(self, ref: ScriptRef, wanted: ResolvedBindings) -> tuple[Binding, ...]:
        """Return the bindings to make in the form of the store, with secrets sealed."""
        sealed = await self._safe.seal_all(ref, wanted.secrets)
        return sealed + tuple(Binding(binding.name, binding.kind, binding.shown()) for binding in wanted.plain)


def parse_settings(raw: object, limits: Limits) -> SettingsPatch:
    """Parse a change of settings in a request body; a null setting is reset, an absent one stays.

    Raises:
        NightsafeError: INVALID or a code of a binding, with a pointer into the body; a problem for each binding.
    """
    body = need_object(raw, "", "the settings")
    need_known(body, _MEMBERS, "", "the settings")
    if body.get("migrations") is not None:
        raise NightsafeError(
            Code.UNSUPPORTED, "apply migrations in a change of settings: upload the script with them", "/migrations"
        )
    bindings = body.get("bindings")
    return SettingsPatch(
        bindings=None if bindings is None else parse_bindings(need_array(body, "bindings", ""), limits),
        keep=frozenset() if body.get("keep_bindings") is None else kept_kinds(body, in_force=True),
        versioned=_merge(body, setting_fields.VERSION_LEVEL, setting_fields.version_settings),
        of_script=_merge(body, setting_fields.SCRIPT_LEVEL, setting_fields.script_settings),
        annotations=parse_annotations(body.get("annotations"), limits),
        notices=(*of_settings(body), *of_annotations(body.get("annotations")), *unknown(body, _MEMBERS, "")),
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
    need_known(body, _SCRIPT_MEMBERS, "", "the body")
    merge = _merge(body, setting_fields.SCRIPT_LEVEL, setting_fields.script_settings)
    return merge, unknown(body, _SCRIPT_MEMBERS, "")


def parse_usage_model(raw: object) -> SettingsPatch:
    """Parse a change of the usage model alone.

    Raises:
        NightsafeError: INVALID, with a pointer into the body.
    """
    model = need_object(raw, "", "the body").get("usage_model")
    if model not in USAGE_MODELS:
        raise NightsafeError(Code.INVALID, f"'usage_model' must be one of {', '.join(USAGE_MODELS)}", "/usage_model")
    return SettingsPatch(versioned=setting_fields.encoded({"usage_model": model}))


def _merge(
    body: dict[str, Any], known: dict[str, type], check: Callable[[dict[str, Any]], dict[str, Any]]
) -> bytes | None:
    """Return the checked settings of one level in a body; None if it has no such settings.

    Settings to reset are null in the result.
    """
    reset = {name: None for name in known if name in body and body[name] is None}
    merge = reset | check(body)
    return setting_fields.encoded(merge) if merge else None


def _merged(merge: bytes | None) -> StoredSettings | None:
    """Return settings in the form in which the store merges them."""
    return None if merge is None else StoredSettings(merge, merge=True)


def _script_of(outcome: Outcome) -> Script:
    """Return the script after an edit of its settings."""
    if outcome.script is None:
        raise NightsafeError(Code.STORE, "the store did not return the script")
    return outcome.script
