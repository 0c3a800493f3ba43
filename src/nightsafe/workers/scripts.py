"""The script around the secrets: upload, list, content, settings, delete."""

import re
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.interfaces import Store
from nightsafe.store.model import Binding, Module, Script, ScriptEdit, ScriptRef, Upload
from nightsafe.workers.caller import Caller, change, stamp
from nightsafe.workers.commit import commit
from nightsafe.workers.limits import Limits
from nightsafe.workers.seal import Safe
from nightsafe.workers.upload import ParsedUpload

MAX_NAME_LENGTH = 255
_NAME = re.compile(r"[a-z0-9_][a-z0-9_-]*")


class Scripts:
    """The use cases of a script as a whole."""

    def __init__(self, store: Store, safe: Safe, limits: Limits) -> None:
        self._store = store
        self._safe = safe
        self._limits = limits

    async def upload(
        self, caller: Caller, ref: ScriptRef, parsed: ParsedUpload, *, strict_inherit: bool
    ) -> tuple[Script, str]:
        """Create the script or give it new code, in one version that is deployed at once.

        Args:
            caller: who asks.
            ref: which script.
            parsed: the upload.
            strict_inherit: refuse, rather than drop, an inherited binding that is not there.

        Returns:
            The script as it is then, and the new version's UUID.

        Raises:
            NightsafeError: SCRIPT_NAME, INHERIT, TOO_MANY_BINDINGS.
        """
        if len(ref.name) > MAX_NAME_LENGTH or not _NAME.fullmatch(ref.name):
            raise NightsafeError(Code.SCRIPT_NAME, str(MAX_NAME_LENGTH))
        sealed = await self._safe.seal_all(ref, parsed.secrets)
        plain = tuple(Binding(one.name, one.kind, one.shown()) for one in parsed.plain)
        made = stamp(caller, "upload", parsed.annotations)
        edit = ScriptEdit(
            ref=ref,
            stamp=made,
            set=sealed + plain,
            upload=_upload(parsed, strict_inherit=strict_inherit),
            max_variables=self._limits.max_variables,
        )
        outcome = await commit(self._store, change(caller, "scripts.upload", edit))
        if outcome.script is None:
            raise NightsafeError(Code.STORE, "the store did not tell of the upload")
        return outcome.script, str(uuid.UUID(bytes=made.version_id))

    async def delete(self, caller: Caller, ref: ScriptRef) -> str:
        """Delete a script with all that belongs to it; gives the tag it had.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND.
        """
        outcome = await commit(self._store, change(caller, "scripts.delete", ScriptEdit(ref=ref, remove=True)))
        return outcome.script_id

    async def get(self, ref: ScriptRef) -> Script:
        """One script.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND.
        """
        script = await self._store.script(ref)
        if script is None:
            raise NightsafeError(Code.SCRIPT_NOT_FOUND)
        return script

    async def list(self, account_id: str, namespace: str = "") -> Sequence[Script]:
        """Every script of an account, by name."""
        return await self._store.scripts(account_id, namespace)

    async def content(self, ref: ScriptRef) -> tuple[Script, Sequence[Module]]:
        """A script with the files of its newest version.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND.
        """
        script = await self.get(ref)
        return script, await self._store.modules(ref)

    async def settings(self, ref: ScriptRef) -> tuple[dict[str, Any], Sequence[Binding]]:
        """The settings of a script, of both levels, and its bindings.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND.
        """
        script = await self.get(ref)
        settings = {**msgspec.json.decode(script.settings), **msgspec.json.decode(script.script_settings)}
        settings.pop("body_part", None)
        return settings, await self._store.bindings(ref)


def _upload(parsed: ParsedUpload, *, strict_inherit: bool) -> Upload:
    """A parsed upload as the store takes it."""
    return Upload(
        script_id=uuid.uuid4().hex,
        main_module=parsed.main_module,
        modules=parsed.modules,
        settings=parsed.settings,
        script_settings=parsed.script_settings,
        keep=parsed.keep,
        inherits=parsed.inherits,
        strict_inherit=strict_inherit,
    )
