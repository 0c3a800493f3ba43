"""From a parsed upload to the edit that the store carries out."""

import uuid
from typing import Any

import msgspec
from msgspec.structs import replace

from nightsafe.services.caller import Caller
from nightsafe.services.delivery.admission import Admission, needs_of
from nightsafe.services.limits import Limits
from nightsafe.services.notices import Notices, of_kept
from nightsafe.services.scripts.bindings_update import bound
from nightsafe.services.scripts.modules import Source
from nightsafe.services.scripts.upload import ParsedUpload
from nightsafe.services.target_access import TargetAccess
from nightsafe.store.interface import Store
from nightsafe.store.script_edit import BindingsUpdate, ScriptEdit, Settings, Stamp
from nightsafe.store.scripts import Binding, ScriptRef, Upload


def upload_edit(  # noqa: PLR0913 - an upload has many sides
    ref: ScriptRef,
    made: Stamp,
    parsed: ParsedUpload,
    sealed: tuple[Binding, ...],
    limits: Limits,
    *,
    strict: bool,
    seen: int | None,
) -> ScriptEdit:
    """The edit of an upload.

    One that deploys its version may create the script, and carries the settings of the script itself. One that does
    not leaves those alone: they would be in force at once, under the version that is served.

    Args:
        ref: which script.
        made: the version it makes.
        parsed: the upload.
        sealed: its secrets, sealed.
        limits: how many variables the script may have.
        strict: refuse, rather than drop, an inherited binding that is not there.
        seen: as `reach_of_upload` gives it.
    """
    deployed = bool(made.deployment_id)
    plain = tuple(Binding(one.name, one.kind, one.shown()) for one in parsed.plain)
    return ScriptEdit(
        ref=ref,
        stamp=made,
        set=sealed + plain,
        upload=code(parsed.source, create=deployed),
        bindings_update=BindingsUpdate(keep=parsed.keep, inherits=parsed.inherits, strict=strict),
        settings=Settings(parsed.settings),
        script_settings=Settings(parsed.script_settings, merge=True) if deployed else None,
        triggers=_triggers(parsed),
        needs=needs_of(ref, parsed.plain),
        based_on=seen,
        max_variables=limits.max_variables,
    )


async def settled(store: Store, ref: ScriptRef, parsed: ParsedUpload) -> ParsedUpload:
    """The same upload, in which secrets that came without their values are those there are. Its answer says so.

    Raises:
        NightsafeError: INVALID, for one that is not there as it is shown; it names the secret and says `inherit`.
    """
    if not parsed.shown:
        return parsed
    there = await store.bindings(ref)
    kept = tuple(replace(one, must=True) for one in bound(parsed.shown, there).bindings_update.inherits)
    said = of_kept(one.name for one in kept)
    return replace(parsed, inherits=parsed.inherits + kept, notices=(*parsed.notices, *said))


async def reach_of_upload(targets: TargetAccess, caller: Caller, ref: ScriptRef, parsed: ParsedUpload) -> int | None:
    """Refuse an upload by what its code would reach, before any of that is looked up; else as `check_code`.

    Raises:
        NightsafeError: TARGET_NOT_GRANTED.
    """
    return await targets.check_code(
        caller,
        ref,
        parsed.plain,
        [one.name for one in parsed.secrets],
        keep=parsed.keep,
        inherits=parsed.inherits,
        settings=parsed.script_settings,
    )


async def let_in(admission: Admission, ref: ScriptRef, parsed: ParsedUpload) -> Notices:
    """Refuse an upload by what it is bound to, or because it cannot be served; else say what of it is not done.

    Raises:
        NightsafeError: as `Admission.check_targets` and `Admission.upload`.
    """
    await admission.check_targets(ref, parsed.plain)
    not_served = await admission.upload(
        ref,
        parsed.source,
        settings=parsed.settings,
        made=(*parsed.secrets, *parsed.plain),
        keep=parsed.keep,
        inherits=parsed.inherits,
    )
    return (*not_served, *parsed.notices)


def code(source: Source, *, create: bool) -> Upload:
    """New code as the store takes it; `create` says whether a script that is absent is made."""
    return Upload(script_id=uuid.uuid4().hex, main_module=source.main_module, modules=source.modules, create=create)


def _triggers(parsed: ParsedUpload) -> bytes | None:
    """What the upload leaves with the script for good: the tag its migrations lead to."""
    if parsed.migration is None or parsed.migration.new_tag is None:
        return None
    triggers: dict[str, Any] = {"migration_tag": parsed.migration.new_tag}
    return msgspec.json.encode(triggers)
