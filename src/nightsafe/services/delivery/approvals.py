"""Keeps approvals, and finds them for delivery processes.

Approvers and delivery processes do not trust what they get from here: they check signatures and compute digests.
"""

import uuid
from collections.abc import Sequence
from typing import Final

from nightsafe.audit.entry import AuditEvent, entry_for
from nightsafe.bundle.approvals.approval import Approval, ApprovedBy, is_ahead
from nightsafe.bundle.approvals.bundled import manifest_of
from nightsafe.bundle.approvals.manifest import Covers, Manifest
from nightsafe.bundle.model import BundleVersion
from nightsafe.bundle.statements import ScriptIdentity
from nightsafe.errors import Code, NightsafeError
from nightsafe.services.caller import Caller, caller_fields, now
from nightsafe.services.delivery.bundling import to_bundle_version
from nightsafe.services.lookup import find_script
from nightsafe.services.secrets_store.bound_secrets import BoundSecrets
from nightsafe.store.bundles import StoredApproval
from nightsafe.store.changes import Change
from nightsafe.store.interface import Store
from nightsafe.store.scripts import ScriptRef


class Approvals:
    """The use cases of approvals.

    Args:
        store: holds the versions and the approvals.
    """

    def __init__(self, store: Store) -> None:
        self._store: Final = store
        self._bound_secrets: Final = BoundSecrets(store)

    async def manifest(self, ref: ScriptRef, version_id: bytes | None = None) -> Manifest:
        """Return the manifest of a version (default: the newest).

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND, VERSION_NOT_FOUND.
        """
        script = await find_script(self._store, ref)
        version = await self._store.full_version(ref, version_id)
        if version is None:
            raise NightsafeError(Code.VERSION_NOT_FOUND, str(uuid.UUID(bytes=version_id)) if version_id else "")
        stored = await self._bound_secrets.for_bindings(ref.account_id, version.bindings)
        identity = ScriptIdentity(ref.account_id, ref.namespace, ref.name, script.id)
        return manifest_of(identity, to_bundle_version(version, stored))

    async def list(self, ref: ScriptRef, keys: Sequence[str] = ()) -> Sequence[StoredApproval]:
        """Return the newest approvals of a script, newest first.

        Args:
            ref: the script.
            keys: ids of the keys whose approvals are wanted; empty for all keys.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND.
        """
        await find_script(self._store, ref)
        return await self._store.approvals(ref, keys)

    async def approve(self, caller: Caller, ref: ScriptRef, version_id: bytes, approval: Approval) -> None:
        """Keep an approval of a version.

        The check of the signature only keeps approvals out that carry another approver's key: the API process does
        not know which approvers the delivery processes accept.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND, VERSION_NOT_FOUND; INVALID, when the key has not signed the approval, or
                the approval is not about this version, or is dated over an hour ahead.
        """
        manifest = await self.manifest(ref, version_id)
        if not approval.is_valid():
            raise NightsafeError(Code.INVALID, "the approval's key has not signed it", "/approval/signature")
        if not approval.approves(manifest, Covers.VALUES):
            raise NightsafeError(
                Code.INVALID,
                "the approval is about other code, settings, bindings or values than this version has: they may have"
                " changed meanwhile; look at the version again, and approve it again",
                "/approval",
            )
        at = now()
        if is_ahead(approval.made_at, at):
            raise NightsafeError(
                Code.INVALID,
                f"the approval is dated {(approval.made_at - at) // 1_000_000} s after this server's time: set the"
                " clock of the machine that is wrong, and approve the version again",
                "/approval/made_at",
            )
        event = AuditEvent(
            **caller_fields(caller),
            at=at,
            action="approvals.create",
            account_id=ref.account_id,
            namespace=ref.namespace,
            script=ref.name,
            resource=approval.key,
            version_id=version_id.hex(),
        )
        stored = StoredApproval(manifest.script_id, version_id, approval)
        await self._store.commit(Change(at=at, audit=entry_for(event), approval=stored))

    async def any_since(self, ref: ScriptRef, wanted: ApprovedBy) -> bool:
        """Return whether a script has any approval as new as a delivery process wants."""
        newest = await self._store.approvals(ref, limit=1)
        return any(stored.approval.made_at >= wanted.since for stored in newest)

    async def find(self, script: ScriptIdentity, version: BundleVersion, wanted: ApprovedBy) -> Approval | None:
        """Return the newest approval of a version that a delivery process accepts, or None."""
        manifest = manifest_of(script, version)
        ref = ScriptRef(script.account_id, script.name, script.namespace)
        found = await self._store.approvals_of(ref, manifest.code_digest(), wanted.keys)
        return next(
            (
                stored.approval
                for stored in found
                if stored.approval.made_at >= wanted.since and stored.approval.approves(manifest, wanted.covers)
            ),
            None,
        )
