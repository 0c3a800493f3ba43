"""The versions of a script: list, get, upload without deploying, patch secrets without deploying.

Source: `workers/scripts/{script_name}/versions` in the Cloudflare v4 API's specification.
"""

import re
import uuid
from collections.abc import Sequence

import msgspec

from nightsafe.bindings.json_fields import pointer_to
from nightsafe.errors import Code, NightsafeError
from nightsafe.services.caller import Caller, new_stamp, script_change
from nightsafe.services.commit import commit
from nightsafe.services.delivery.admission import Admission
from nightsafe.services.limits import Limits
from nightsafe.services.lookup import find_newest_version, find_script
from nightsafe.services.notices import Notices
from nightsafe.services.scripts.upload import ParsedUpload
from nightsafe.services.scripts.upload_edit import (
    check_admission,
    check_targets_readable,
    upload_edit,
    with_kept_secrets,
)
from nightsafe.services.secrets.seal import Safe
from nightsafe.services.secrets.secrets import SecretsPatch, refuse_non_secrets, with_pointers
from nightsafe.services.secrets_store.access import check_store_access
from nightsafe.services.target_access import TargetAccess
from nightsafe.store.interface import Store
from nightsafe.store.script_edit import ScriptEdit, Stamp
from nightsafe.store.scripts import Binding, ScriptRef, Version

DEPLOYABLE = 100
"""The number of newest versions that are listed as deployable. Older versions can be deployed, too."""

_UUID_LENGTH = 36
_PREFIX = re.compile(r"[0-9a-f]{8}[0-9a-f-]{0,27}", re.IGNORECASE)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_LOWEST_UUID, _HIGHEST_UUID = str(uuid.UUID(int=0)), str(uuid.UUID(int=2**128 - 1))


class Versions:
    """The use cases of versions."""

    def __init__(self, store: Store, safe: Safe, limits: Limits, admission: Admission) -> None:
        self._store = store
        self._safe = safe
        self._limits = limits
        self._admission = admission
        self._targets = TargetAccess(store)

    async def list(self, ref: ScriptRef, *, offset: int, limit: int) -> tuple[Sequence[Version], int]:
        """Return a page of versions, newest first, and their total number.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND.
        """
        script = await find_script(self._store, ref)
        return await self._store.versions(ref, offset=offset, limit=limit), script.version

    async def get(self, ref: ScriptRef, version_id: bytes) -> Version:
        """Return one version by its UUID.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND, VERSION_NOT_FOUND.
        """
        version = await self._store.version(ref, version_id)
        if version is None:
            await self.latest(ref)
            raise NightsafeError(Code.VERSION_NOT_FOUND, str(uuid.UUID(bytes=version_id)))
        return version

    async def latest(self, ref: ScriptRef) -> Version:
        """Return the newest version, deployed or not.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND.
        """
        return await find_newest_version(self._store, ref)

    async def find(self, ref: ScriptRef, selector: str) -> Version:
        """Return one version by its UUID, by at least the first eight digits of it, or the newest by `latest`.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND, VERSION_NOT_FOUND, MALFORMED_PARAMETER, or INVALID if several versions
                match.
        """
        newest = await self.latest(ref)
        if selector == "latest":
            return newest
        if len(selector) >= _UUID_LENGTH:
            return await self.get(ref, parse_version_id(selector))
        if not _PREFIX.fullmatch(selector):
            raise NightsafeError(Code.MALFORMED_PARAMETER, "version_id")
        first, last = (selector + rest[len(selector) :] for rest in (_LOWEST_UUID, _HIGHEST_UUID))
        matching = []
        if _UUID.fullmatch(first):
            matching = await self._store.versions_between(ref, uuid.UUID(first).bytes, uuid.UUID(last).bytes)
        if not matching:
            raise NightsafeError(Code.VERSION_NOT_FOUND, selector)
        if len(matching) > 1:
            raise NightsafeError(
                Code.INVALID, f"{len(matching)} versions have an ID that begins with these digits: send more of them"
            )
        return matching[0]

    async def bindings(self, ref: ScriptRef, version: Version) -> Sequence[Binding]:
        """Return the bindings of a version, by name."""
        return await self._store.bindings(ref, version.number)

    async def bindings_of(self, ref: ScriptRef, versions: Sequence[Version]) -> Sequence[Sequence[Binding]]:
        """Return the bindings of each of several consecutive versions, newest first."""
        if not versions:
            return []
        by_version = await self._store.bindings_of(ref, versions[-1].number, versions[0].number)
        return [by_version.get(version.number, []) for version in versions]

    async def upload(
        self, caller: Caller, ref: ScriptRef, parsed: ParsedUpload, *, strict: bool
    ) -> tuple[Version, Notices]:
        """Make a version from an upload, without deploying it. The script must exist.

        Script settings in the upload are ignored, because they would take effect at once.

        Args:
            caller: the caller.
            ref: the script.
            parsed: the upload.
            strict: refuse an inherited binding that does not exist; otherwise drop it.

        Returns:
            The version, and notices of parts that have no effect.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND, INHERIT, INHERIT_RENAMED, TOO_MANY_BINDINGS, STORE_NOT_GRANTED,
                TARGET_NOT_GRANTED, any error that `check_admission` raises, and INVALID for migrations.
        """
        check_store_access(caller, ref.account_id, parsed.plain)
        parsed = await with_kept_secrets(self._store, ref, parsed)
        based_on = await check_targets_readable(self._targets, caller, ref, parsed)
        notices = await check_admission(self._admission, ref, parsed)
        undeployed = _without_deployment(new_stamp(caller, "version_upload", parsed.annotations))
        sealed = await self._safe.seal_all(ref, parsed.secrets)
        if parsed.migration is not None:
            sentence = (
                "migrations take effect at once, so they need a deployed version: upload with PUT (wrangler deploy)"
            )
            raise NightsafeError(Code.INVALID, sentence, "/migrations")
        edit = upload_edit(ref, undeployed, parsed, sealed, self._limits, strict=strict, based_on=based_on)
        return await self._commit_version(caller, "versions.upload", edit), notices

    async def patch_secrets(self, caller: Caller, ref: ScriptRef, patch: SecretsPatch) -> Version:
        """Make a version from the newest one with changed secrets, without deploying it.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND, BINDING_NAME_TAKEN, TOO_MANY_BINDINGS; BINDING_NOT_FOUND, if a name to
                delete is the name of a binding other than a secret.
        """
        await refuse_non_secrets(self._store, ref, patch.drop, "/env")
        sealed = await self._safe.seal_all(ref, patch.set)
        edit = ScriptEdit(
            ref=ref,
            stamp=_without_deployment(new_stamp(caller, "secret", patch.annotations)),
            set=sealed,
            drop=patch.drop,
            require_drop=False,
            always=True,
            max_variables=self._limits.max_variables,
        )
        try:
            return await self._commit_version(caller, "versions.secrets", edit)
        except NightsafeError as error:
            raise with_pointers(error, lambda name: pointer_to("/env", name)) from None

    async def _commit_version(self, caller: Caller, action: str, edit: ScriptEdit) -> Version:
        """Commit an edit, and return the version that it made."""
        outcome = await commit(self._store, script_change(caller, action, edit))
        if outcome.newest is None:
            raise NightsafeError(Code.STORE, "the store did not return the version")
        return outcome.newest


def parse_version_id(text: str, parameter: str = "version_id") -> bytes:
    """Return the 16 bytes of a version's UUID in its usual form.

    Args:
        text: the text that the client sent.
        parameter: the name of the parameter, for the refusal.

    Raises:
        NightsafeError: MALFORMED_PARAMETER.
    """
    try:
        parsed = uuid.UUID(text)
    except ValueError:
        raise NightsafeError(Code.MALFORMED_PARAMETER, parameter) from None
    if len(text) != _UUID_LENGTH:
        raise NightsafeError(Code.MALFORMED_PARAMETER, parameter)
    return parsed.bytes


def _without_deployment(stamp: Stamp) -> Stamp:
    """Return the stamp without its deployment."""
    return msgspec.structs.replace(stamp, deployment_id=b"")
