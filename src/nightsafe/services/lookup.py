"""Reads of the store that refuse an absent script."""

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.interface import Store
from nightsafe.store.scripts import Script, ScriptRef, Version


async def find_script(store: Store, ref: ScriptRef) -> Script:
    """Return a script.

    Raises:
        NightsafeError: SCRIPT_NOT_FOUND.
    """
    script = await store.script(ref)
    if script is None:
        raise NightsafeError(Code.SCRIPT_NOT_FOUND)
    return script


async def find_newest_version(store: Store, ref: ScriptRef) -> Version:
    """Return the newest version of a script.

    Raises:
        NightsafeError: SCRIPT_NOT_FOUND.
    """
    version = await store.version(ref)
    if version is None:
        raise NightsafeError(Code.SCRIPT_NOT_FOUND)
    return version
