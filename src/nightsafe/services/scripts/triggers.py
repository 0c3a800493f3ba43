"""Script settings that uploads do not change: the subdomain and the schedules.

A script can be reached from outside unless its subdomain has been disabled. Nightsafe does not run schedules: it
stores them and returns them.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from nightsafe.bindings.json_fields import need_object, need_string, pointer_to, type_name
from nightsafe.bindings.unknown_members import require_known
from nightsafe.errors import Code, NightsafeError
from nightsafe.services.caller import Caller, now, script_change
from nightsafe.services.commit import commit
from nightsafe.services.lookup import find_script
from nightsafe.store.interface import Store
from nightsafe.store.script_edit import ScriptEdit
from nightsafe.store.scripts import Script, ScriptRef

MAX_SCHEDULES = 250
_MAX_CRON_LENGTH = 256
_CRON_FIELDS = 5
_ENABLED = "subdomain_enabled"
_PREVIEWS_ENABLED = "previews_enabled"
_SCHEDULES = "schedules"


class Subdomain(Struct, frozen=True):
    """Whether a script can be reached under the account's subdomain, and whether its versions can."""

    enabled: bool
    previews_enabled: bool


class Schedule(Struct, frozen=True):
    """A cron schedule of a script; times are in microseconds since 1970 UTC."""

    cron: str
    created_on: int
    modified_on: int


class Triggers:
    """The use cases of triggers."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def subdomain(self, ref: ScriptRef) -> Subdomain:
        """Return whether the script is enabled on the subdomain.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND.
        """
        return subdomain_of(await find_script(self._store, ref))

    async def set_subdomain(self, caller: Caller, ref: ScriptRef, members: Mapping[str, bool | None]) -> Subdomain:
        """Enable or disable the script on the subdomain; see `parse_subdomain`.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND.
        """
        return subdomain_of(await self._merge(caller, ref, "subdomain.set", members))

    async def reset_subdomain(self, caller: Caller, ref: ScriptRef) -> Subdomain:
        """Disable the script on the subdomain.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND.
        """
        return await self.set_subdomain(caller, ref, {_ENABLED: False, _PREVIEWS_ENABLED: None})

    async def schedules(self, ref: ScriptRef) -> tuple[Schedule, ...]:
        """Return the script's schedules.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND.
        """
        return schedules_of(await find_script(self._store, ref))

    async def set_schedules(self, caller: Caller, ref: ScriptRef, crons: tuple[str, ...]) -> tuple[Schedule, ...]:
        """Replace the script's schedules; see `parse_schedules`.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND.
        """
        existing = {schedule.cron: schedule for schedule in await self.schedules(ref)}
        at = now()
        schedules = [existing.get(cron) or Schedule(cron, at, at) for cron in crons]
        return schedules_of(await self._merge(caller, ref, "schedules.set", {_SCHEDULES: schedules or None}))

    async def _merge(self, caller: Caller, ref: ScriptRef, action: str, members: Mapping[str, object]) -> Script:
        """Merge members into the stored triggers; None removes a member."""
        edit = ScriptEdit(ref=ref, triggers=msgspec.json.encode(members))
        outcome = await commit(self._store, script_change(caller, action, edit))
        if outcome.script is None:
            raise NightsafeError(Code.STORE, "the store did not return the script")
        return outcome.script


def subdomain_of(script: Script) -> Subdomain:
    """Return a script's settings of the subdomain."""
    triggers = msgspec.json.decode(script.triggers)
    return Subdomain(triggers.get(_ENABLED, True), triggers.get(_PREVIEWS_ENABLED, False))


def schedules_of(script: Script) -> tuple[Schedule, ...]:
    """Return a script's schedules."""
    return msgspec.convert(msgspec.json.decode(script.triggers).get(_SCHEDULES, []), tuple[Schedule, ...])


def parse_subdomain(raw: object, at: str = "", *, partly: bool = False) -> dict[str, bool]:
    """Parse a change of the subdomain: `enabled`, and `previews_enabled` if present.

    Args:
        raw: the JSON value.
        at: JSON Pointer to it.
        partly: whether `enabled` may be left out, too.

    Raises:
        NightsafeError: INVALID, with a pointer to the member at fault.
    """
    body = need_object(raw, at, "the body")
    if body.get("enabled") is None and not partly:
        raise NightsafeError(Code.INVALID, "'enabled' is missing: set it to true or false", pointer_to(at, "enabled"))
    members = {_ENABLED: "enabled", _PREVIEWS_ENABLED: "previews_enabled"}
    require_known(body, members.values(), at, "the subdomain")
    return {trigger: _flag(body, member, at) for trigger, member in members.items() if body.get(member) is not None}


def parse_schedules(raw: object) -> tuple[str, ...]:
    """Return the distinct cron expressions in a request body.

    The body is a list of objects with a member `cron`, or an object with that list as its member `schedules`.

    Raises:
        NightsafeError: INVALID, with a pointer to the member at fault.
    """
    at = "/schedules" if isinstance(raw, dict) else ""
    schedules = raw.get("schedules") if isinstance(raw, dict) else raw
    if not isinstance(schedules, list):
        raise NightsafeError(Code.INVALID, f"the schedules must be an array, not {type_name(schedules)}", at)
    if len(schedules) > MAX_SCHEDULES:
        raise NightsafeError(Code.INVALID, f"a Worker may have at most {MAX_SCHEDULES} schedules", at)
    return tuple(dict.fromkeys(_cron(schedule, pointer_to(at, index)) for index, schedule in enumerate(schedules)))


def _cron(raw: object, at: str) -> str:
    """Parse one cron expression. Only the number of its fields is checked, because Nightsafe does not run it."""
    cron = need_string(need_object(raw, at, "a schedule"), "cron", at)
    if len(cron) > _MAX_CRON_LENGTH or len(cron.split()) != _CRON_FIELDS:
        raise NightsafeError(
            Code.INVALID, f"'cron' must have {_CRON_FIELDS} fields, as in '*/30 * * * *'", pointer_to(at, "cron")
        )
    return cron


def _flag(body: dict[str, Any], member: str, at: str) -> bool:
    """Return a boolean member."""
    value = body[member]
    if not isinstance(value, bool):
        raise NightsafeError(
            Code.INVALID, f"'{member}' must be a boolean, not {type_name(value)}", pointer_to(at, member)
        )
    return value
