"""Turns a parsed upload into an edit for the store."""

import uuid
from typing import Any

import msgspec
from msgspec.structs import replace

from nightsafe.services.caller import Caller
from nightsafe.services.delivery.admission import Admission, required_scripts
from nightsafe.services.limits import Limits
from nightsafe.services.notices import Notices, kept_secret_notices
from nightsafe.services.scripts.bindings_update import resolve
from nightsafe.services.scripts.modules import Source
from nightsafe.services.scripts.upload import ParsedUpload
from nightsafe.services.target_access import TargetAccess
from nightsafe.store.interface import Store
from nightsafe.store.script_edit import BindingsUpdate, ScriptEdit, SettingsUpdate, Stamp
from nightsafe.store.scripts import Binding, ScriptRef, Upload


def upload_edit(  # noqa: PLR0913 - an upload has many parts
    ref: ScriptRef,
    stamp: Stamp,
    parsed: ParsedUpload,
    sealed: tuple[Binding, ...],
    limits: Limits,
    *,
    strict: bool,
    based_on: int | None,
) -> ScriptEdit:
    """Return the edit of an upload.

    If the version is deployed, the edit may create the script, and it includes the script settings. If the version is
    not deployed, the script settings are left out: they would take effect at once, on the version that is deployed.

    Args:
        ref: the script.
        stamp: the stamp of the new version.
        parsed: the upload.
        sealed: its secrets, sealed.
        limits: sets the largest number of variables.
        strict: refuse an inherited binding that does not exist; otherwise drop it.
        based_on: the result of `check_targets_readable`.
    """
    deployed = bool(stamp.deployment_id)
    plain = tuple(Binding(binding.name, binding.kind, binding.public_json()) for binding in parsed.plain)
    return ScriptEdit(
        ref=ref,
        stamp=stamp,
        set=sealed + plain,
        upload=to_store_upload(parsed.source, create=deployed),
        bindings_update=BindingsUpdate(keep=parsed.keep, inherits=parsed.inherits, strict=strict),
        settings=SettingsUpdate(parsed.settings),
        script_settings=SettingsUpdate(parsed.script_settings, merge=True) if deployed else None,
        triggers=_triggers(parsed),
        needs=required_scripts(ref, parsed.plain),
        based_on=based_on,
        max_variables=limits.max_variables,
    )


async def with_kept_secrets(store: Store, ref: ScriptRef, parsed: ParsedUpload) -> ParsedUpload:
    """Return the upload with its secrets without values resolved.

    Each of them inherits the existing secret, with a notice.

    Raises:
        NightsafeError: INVALID, for a secret that differs from the existing one; it names the secret and says
            `inherit`.
    """
    if not parsed.shown:
        return parsed
    existing = await store.bindings(ref)
    inherits = tuple(
        replace(inherit, required=True) for inherit in resolve(parsed.shown, existing).bindings_update.inherits
    )
    notices = kept_secret_notices(inherit.name for inherit in inherits)
    return replace(parsed, inherits=parsed.inherits + inherits, notices=(*parsed.notices, *notices))


async def check_targets_readable(
    targets: TargetAccess, caller: Caller, ref: ScriptRef, parsed: ParsedUpload
) -> int | None:
    """Refuse an upload whose code would reach scripts that the caller may not read; return like `check_code`.

    This comes before the scripts are looked up.

    Raises:
        NightsafeError: TARGET_NOT_GRANTED.
    """
    return await targets.check_code(
        caller,
        ref,
        parsed.plain,
        [secret.name for secret in parsed.secrets],
        keep=parsed.keep,
        inherits=parsed.inherits,
        settings=parsed.script_settings,
    )


async def check_admission(admission: Admission, ref: ScriptRef, parsed: ParsedUpload) -> Notices:
    """Refuse an upload with bindings to missing targets, or one that cannot be served; otherwise return its notices.

    Raises:
        NightsafeError: like `Admission.check_targets` and `Admission.check_upload`.
    """
    await admission.check_targets(ref, parsed.plain)
    notices = await admission.check_upload(
        ref,
        parsed.source,
        settings=parsed.settings,
        new_bindings=(*parsed.secrets, *parsed.plain),
        keep=parsed.keep,
        inherits=parsed.inherits,
    )
    return (*notices, *parsed.notices)


def to_store_upload(source: Source, *, create: bool) -> Upload:
    """Return new code in the form of the store; `create` says whether to create a missing script."""
    return Upload(script_id=uuid.uuid4().hex, main_module=source.main_module, modules=source.modules, create=create)


def _triggers(parsed: ParsedUpload) -> bytes | None:
    """Return the migration tag that the upload leaves with the script, as triggers to merge."""
    if parsed.migration is None or parsed.migration.new_tag is None:
        return None
    triggers: dict[str, Any] = {"migration_tag": parsed.migration.new_tag}
    return msgspec.json.encode(triggers)
