"""The script around the secrets: upload, list, search, content, settings, delete."""

import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import msgspec
from msgspec import Struct

from nightsafe.errors import Code, NightsafeError
from nightsafe.services.caller import Caller, change, stamp
from nightsafe.services.commit import commit, until_undisturbed
from nightsafe.services.delivery.admission import Admission
from nightsafe.services.limits import Limits
from nightsafe.services.notices import Notices
from nightsafe.services.scripts.modules import BODY_PART, Source
from nightsafe.services.scripts.upload import Migration, ParsedUpload
from nightsafe.services.scripts.upload_edit import code, let_in, reach_of_upload, settled, upload_edit
from nightsafe.services.secrets.seal import Safe
from nightsafe.services.secrets_store.access import check_store_access
from nightsafe.services.target_access import TargetAccess
from nightsafe.store.bundles import StoredFile
from nightsafe.store.changes import Outcome
from nightsafe.store.interface import Store
from nightsafe.store.references import Pointing
from nightsafe.store.script_edit import ScriptEdit, Settings, Stamp
from nightsafe.store.scripts import Script, ScriptRef, Version
from nightsafe.store.turns import PART, turn

Look = Callable[[], Awaitable[Pointing]]
"""Looks at all that may lead to a script, and refuses when something does."""

MAX_NAME_LENGTH = 255
_NAME = re.compile(r"[a-z0-9_][a-z0-9_-]*")


class Uploaded(Struct, frozen=True):
    """What an upload came to.

    Attributes:
        script: as it is then.
        version_id: the new version's UUID, as text.
        notices: what of it is not done.
    """

    script: Script
    version_id: str
    notices: Notices


class Scripts:
    """The use cases of a script as a whole."""

    def __init__(self, store: Store, safe: Safe, limits: Limits, admission: Admission) -> None:
        self._store = store
        self._safe = safe
        self._limits = limits
        self._admission = admission
        self._targets = TargetAccess(store)

    async def upload(self, caller: Caller, ref: ScriptRef, parsed: ParsedUpload, *, strict: bool) -> Uploaded:
        """Create the script or give it new code, in one version that is deployed at once.

        The versioned settings become those of the upload. Of the script's own (tags, logpush, observability, tail
        consumers) only those change that the upload names: code alone puts nobody's observability out.

        Args:
            caller: who asks.
            ref: which script.
            parsed: the upload.
            strict: refuse, rather than drop, an inherited binding that is not there.

        Raises:
            NightsafeError: SCRIPT_NAME, INHERIT, INHERIT_RENAMED, TOO_MANY_BINDINGS, MIGRATION_TAG,
                NAMESPACE_NOT_FOUND, STORE_NOT_GRANTED, TARGET_NOT_GRANTED, and what `let_in` raises.
        """
        if len(ref.name) > MAX_NAME_LENGTH or not _NAME.fullmatch(ref.name):
            raise NightsafeError(Code.SCRIPT_NAME, str(MAX_NAME_LENGTH))
        check_store_access(caller, ref.account_id, parsed.plain)
        parsed = await settled(self._store, ref, parsed)
        seen = await reach_of_upload(self._targets, caller, ref, parsed)
        notices = await let_in(self._admission, ref, parsed)
        sealed = await self._safe.seal_all(ref, parsed.secrets)
        if parsed.migration is not None:
            await self._check_migration(ref, parsed.migration)
        made = stamp(caller, "upload", parsed.annotations)
        edit = upload_edit(ref, made, parsed, sealed, self._limits, strict=strict, seen=seen)
        return await self._uploaded(caller, "scripts.upload", edit, made, notices)

    async def put_content(self, caller: Caller, ref: ScriptRef, source: Source) -> Uploaded:
        """Give a script new code and nothing else, in one version that is deployed at once.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND, TARGET_NOT_GRANTED, and what `Admission.content` raises.
        """
        seen = await self._targets.check_code(caller, ref)
        notices = await self._admission.content(ref, source)
        made = stamp(caller, "upload")
        mark = {BODY_PART: source.main_module if source.classic else None}
        edit = ScriptEdit(
            ref=ref,
            stamp=made,
            upload=code(source, create=False),
            settings=Settings(msgspec.json.encode(mark), merge=True),
            based_on=seen,
            max_variables=self._limits.max_variables,
        )
        return await self._uploaded(caller, "scripts.content", edit, made, notices)

    async def _uploaded(
        self, caller: Caller, action: str, edit: ScriptEdit, made: Stamp, notices: Notices
    ) -> Uploaded:
        """Commit an upload."""
        outcome = await commit(self._store, change(caller, action, edit))
        if outcome.script is None:
            raise NightsafeError(Code.STORE, "the store did not tell of the upload")
        return Uploaded(outcome.script, str(uuid.UUID(bytes=made.version_id)), notices)

    async def _check_migration(self, ref: ScriptRef, migration: Migration) -> None:
        """Refuse an upload that was made for another state of the script's Durable Objects."""
        if migration.old_tag is None:
            return
        script = await self._store.script(ref)
        held = None if script is None else msgspec.json.decode(script.triggers).get("migration_tag")
        if migration.old_tag != (held or ""):
            at = f"is at '{held}'" if held else "has no migration tag"
            raise NightsafeError(Code.MIGRATION_TAG, f"the upload expects '{migration.old_tag}', but the Worker {at}")

    async def delete(self, caller: Caller, ref: ScriptRef, look: Look | None = None) -> str:
        """Delete a script with all that belongs to it; gives the tag it had.

        Args:
            caller: who asks.
            ref: which script.
            look: refuses when others need it, else gives what it looked at, which must still be so when the script
                goes; None to delete by force.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND, and what `look` raises.
        """

        async def attempt() -> Outcome:
            """Look and commit."""
            edit = ScriptEdit(ref=ref, remove=True, pointing=None if look is None else await look())
            return await commit(self._store, change(caller, "scripts.delete", edit))

        return (await until_undisturbed(attempt)).script_id

    async def get(self, ref: ScriptRef) -> Script:
        """One script.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND.
        """
        script = await self._store.script(ref)
        if script is None:
            raise NightsafeError(Code.SCRIPT_NOT_FOUND)
        return script

    async def each(self, account_id: str, namespace: str = "") -> AsyncIterator[Script]:
        """Every script of an account, or of a dispatch namespace, by name; others get their turn in between."""
        name = ""
        while part := await self._store.scripts_after(account_id, namespace, name, PART):
            for script in part:
                yield script
            name = part[-1].ref.name
            await turn()

    async def files(self, ref: ScriptRef, version_id: bytes | None = None) -> tuple[Version, Sequence[StoredFile]]:
        """A version of a script, by default its newest, with its files, whose contents `Contents` gives.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND, VERSION_NOT_FOUND.
        """
        version = await self._store.version(ref, version_id)
        if version is None:
            await self.get(ref)
            raise NightsafeError(Code.VERSION_NOT_FOUND, str(uuid.UUID(bytes=version_id)) if version_id else "")
        return version, await self._store.files(ref, version.number)
