"""Scripts as a whole: upload, list, search, content, settings, delete."""

import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import msgspec
from msgspec import Struct

from nightsafe.bundle.fields import BODY_PART
from nightsafe.bundle.statements import code_digest
from nightsafe.errors import Code, NightsafeError
from nightsafe.services.caller import Caller, new_stamp, script_change
from nightsafe.services.commit import commit, retry_conflicts
from nightsafe.services.delivery.admission import Admission
from nightsafe.services.limits import Limits
from nightsafe.services.lookup import find_script
from nightsafe.services.notices import Notices
from nightsafe.services.scripts.modules import Source
from nightsafe.services.scripts.upload import Migration, ParsedUpload
from nightsafe.services.scripts.upload_edit import (
    check_admission,
    check_targets_readable,
    to_store_upload,
    upload_edit,
    with_kept_secrets,
)
from nightsafe.services.secrets.seal import Safe
from nightsafe.services.secrets_store.access import check_store_access
from nightsafe.services.target_access import TargetAccess
from nightsafe.store.bundles import StoredFile
from nightsafe.store.changes import Outcome
from nightsafe.store.interface import Store
from nightsafe.store.references import ReferenceCandidates
from nightsafe.store.script_edit import ScriptEdit, SettingsUpdate, Stamp
from nightsafe.store.scripts import Script, ScriptRef, Version
from nightsafe.store.turns import PART, turn

CheckReferences = Callable[[], Awaitable[ReferenceCandidates]]
"""Examines everything that may refer to a script, and refuses if something does."""

MAX_NAME_LENGTH = 255
_NAME = re.compile(r"[a-z0-9_][a-z0-9_-]*")


class UploadResult(Struct, frozen=True):
    """The result of an upload.

    Attributes:
        script: the script after the upload.
        version_id: the new version's UUID, as text.
        notices: the parts of the upload that have no effect.
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

    async def upload(self, caller: Caller, ref: ScriptRef, parsed: ParsedUpload, *, strict: bool) -> UploadResult:
        """Create the script or give it new code, in one version that is deployed at once.

        The upload replaces all versioned settings. It changes only those script settings (tags, logpush,
        observability, tail consumers) that it names, so that an upload of code alone does not turn observability off.

        Args:
            caller: the caller.
            ref: the script.
            parsed: the upload.
            strict: refuse an inherited binding that does not exist; otherwise drop it.

        Raises:
            NightsafeError: SCRIPT_NAME, INHERIT, INHERIT_RENAMED, TOO_MANY_BINDINGS, MIGRATION_TAG,
                NAMESPACE_NOT_FOUND, STORE_NOT_GRANTED, TARGET_NOT_GRANTED, and any error that `check_admission`
                raises.
        """
        if len(ref.name) > MAX_NAME_LENGTH or not _NAME.fullmatch(ref.name):
            raise NightsafeError(Code.SCRIPT_NAME, str(MAX_NAME_LENGTH))
        check_store_access(caller, ref.account_id, parsed.plain)
        parsed = await with_kept_secrets(self._store, ref, parsed)
        based_on = await check_targets_readable(self._targets, caller, ref, parsed)
        notices = await check_admission(self._admission, ref, parsed)
        sealed = await self._safe.seal_all(ref, parsed.secrets)
        if parsed.migration is not None:
            await self._check_migration(ref, parsed.migration)
        stamp = new_stamp(caller, "upload", parsed.annotations)
        edit = upload_edit(ref, stamp, parsed, sealed, self._limits, strict=strict, based_on=based_on)
        return await self._commit_upload(caller, "scripts.upload", edit, stamp, notices)

    async def put_content(self, caller: Caller, ref: ScriptRef, source: Source) -> UploadResult:
        """Give a script new code and nothing else, in one version that is deployed at once.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND, TARGET_NOT_GRANTED, and any error that `Admission.check_content` raises.
        """
        based_on = await self._targets.check_code(caller, ref)
        notices = await self._admission.check_content(ref, source)
        stamp = new_stamp(caller, "upload")
        main_part = {BODY_PART: source.main_module if source.classic else None}
        edit = ScriptEdit(
            ref=ref,
            stamp=stamp,
            upload=to_store_upload(source, create=False),
            settings=SettingsUpdate(msgspec.json.encode(main_part), merge=True),
            based_on=based_on,
            max_variables=self._limits.max_variables,
        )
        return await self._commit_upload(caller, "scripts.content", edit, stamp, notices)

    async def _commit_upload(
        self, caller: Caller, action: str, edit: ScriptEdit, stamp: Stamp, notices: Notices
    ) -> UploadResult:
        """Commit an upload."""
        outcome = await commit(self._store, script_change(caller, action, edit))
        if outcome.script is None:
            raise NightsafeError(Code.STORE, "the store did not return the upload")
        return UploadResult(outcome.script, str(uuid.UUID(bytes=stamp.version_id)), notices)

    async def _check_migration(self, ref: ScriptRef, migration: Migration) -> None:
        """Refuse an upload that expects another migration tag of the script's Durable Objects.

        Raises:
            NightsafeError: MIGRATION_TAG.
        """
        if migration.old_tag is None:
            return
        script = await self._store.script(ref)
        current = None if script is None else msgspec.json.decode(script.triggers).get("migration_tag")
        if migration.old_tag != (current or ""):
            at = f"is at '{current}'" if current else "has no migration tag"
            raise NightsafeError(Code.MIGRATION_TAG, f"the upload expects '{migration.old_tag}', but the Worker {at}")

    async def delete(self, caller: Caller, ref: ScriptRef, check_references: CheckReferences | None = None) -> str:
        """Delete a script with everything that belongs to it, and return its tag.

        Args:
            caller: the caller.
            ref: the script.
            check_references: refuses if other scripts need this one, and otherwise returns what it
                examined, which must not change before the deletion; None to delete by force.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND, and any error that `check_references` raises.
        """

        async def attempt() -> Outcome:
            """Examine the references, and commit the deletion."""
            edit = ScriptEdit(
                ref=ref,
                remove=True,
                reference_candidates=None if check_references is None else await check_references(),
            )
            return await commit(self._store, script_change(caller, "scripts.delete", edit))

        return (await retry_conflicts(attempt)).script_id

    async def get(self, ref: ScriptRef) -> Script:
        """Return one script.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND.
        """
        return await find_script(self._store, ref)

    async def iter_scripts(self, account_id: str, namespace: str = "") -> AsyncIterator[Script]:
        """Yield every script of an account or of a dispatch namespace, by name; other requests run in between."""
        name = ""
        while part := await self._store.scripts_after(account_id, namespace, name, PART):
            for script in part:
                yield script
            name = part[-1].ref.name
            await turn()

    async def files(self, ref: ScriptRef, version_id: bytes | None = None) -> tuple[Version, Sequence[StoredFile]]:
        """Return a version of a script with its files; by default the newest version.

        `Contents` returns the contents of the files.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND, VERSION_NOT_FOUND; CANNOT_OPEN, when a file is missing.
        """
        version = await self._store.version(ref, version_id)
        if version is None:
            await self.get(ref)
            raise NightsafeError(Code.VERSION_NOT_FOUND, str(uuid.UUID(bytes=version_id)) if version_id else "")
        files = await self._store.files(ref, version.number)
        if version.etag != code_digest(version.main_module, ((f.name, f.content_type, f.digest) for f in files)):
            await self.get(ref)  # it may have been deleted meanwhile
            raise NightsafeError(
                Code.CANNOT_OPEN,
                f"the files of the script {ref.name!r} are not the uploaded ones: something else has changed the"
                " database. Upload the same code again, or restore a backup",
            )
        return version, files
