"""Tells delivery processes which scripts have changed, and makes a signed bundle of each."""

import uuid
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from nightsafe.bundle.approvals.approval import Approval, ApprovedBy
from nightsafe.bundle.compatibility import problems_of
from nightsafe.bundle.fields import is_inner
from nightsafe.bundle.model import Bundle, BundleDeployment, BundleVersion
from nightsafe.bundle.statements import ScriptIdentity
from nightsafe.services.audit.older_rows import state_served
from nightsafe.services.delivery.approvals import Approvals
from nightsafe.services.delivery.bundling import to_bundle_version
from nightsafe.services.secrets.seal import Safe
from nightsafe.services.secrets_store.bound_secrets import BoundSecrets
from nightsafe.services.versions.last_good import LastGood
from nightsafe.store.bundles import AuditHead, Served, ServedDeployment, ServedVersion
from nightsafe.store.changes import AuditEntry
from nightsafe.store.interface import Store
from nightsafe.store.scripts import ScriptRef

_MAX_ENTRIES: Final = 5000
"""From this number of new log entries on, all scripts are named: reading the entries would delay other requests."""

_LEAF_DIGITS: Final = 16


class Cursor(Struct, frozen=True):
    """A position in the audit log: the number of an entry, and the first 16 hex digits of its leaf hash.

    It says up to which entry a delivery process has acted.
    """

    number: int
    leaf: str

    @classmethod
    def of(cls, number: int, leaf: bytes) -> "Cursor":
        """Return the cursor at an entry."""
        return cls(number, leaf.hex()[:_LEAF_DIGITS])


class BundleChanges(Struct, frozen=True, kw_only=True):
    """The scripts that have changed since a cursor.

    Attributes:
        cursor: the position in the log up to which the changes are included.
        scripts: names of the scripts outside dispatch namespaces that may have changed, each once.
        whole: whether `scripts` lists all scripts of the account.
        rolled_back: whether the given cursor is not in this log, because the database was restored to an older state.
    """

    cursor: Cursor
    scripts: tuple[str, ...] = ()
    whole: bool = False
    rolled_back: bool = False

    @property
    def has_changes(self) -> bool:
        """Whether there is anything to act on."""
        return bool(self.scripts) or self.whole


class _ScriptEntry(Struct, frozen=True):
    """The fields of a log entry that name its script, and say whether the entry is of a change."""

    script: str = ""
    namespace: str = ""
    outcome: str = ""


_SCRIPT_ENTRY: Final = msgspec.json.Decoder(_ScriptEntry)


class Bundles:
    """The use cases of delivery processes.

    Args:
        store: the store.
        safe: signs the bundles.
    """

    def __init__(self, store: Store, safe: Safe) -> None:
        self._store = store
        self._safe = safe
        self._bound_secrets = BoundSecrets(store)
        self._last_good = LastGood(store)
        self._approvals = Approvals(store)

    async def changes(self, account_id: str, after: Cursor | None) -> BundleChanges:
        """Return the changes since a cursor.

        Without a cursor, or if the log cannot be followed from it, also because entries after it are archived or were
        changed, return all scripts.
        """
        head = await self._store.audit_head(account_id)
        if after is None:
            return await self._all_scripts(account_id, head)
        if not await self._is_in_log(account_id, after):
            return msgspec.structs.replace(await self._all_scripts(account_id, head), rolled_back=True)
        entries = await self._store.audit_entries(account_id, after.number, _MAX_ENTRIES)
        if len(entries) == _MAX_ENTRIES or not all(entry.is_intact for _, entry in entries):
            return await self._all_scripts(account_id, head)
        if not entries:
            return BundleChanges(cursor=after)
        number, latest = entries[-1]
        new_entries = [entry for _, entry in entries]
        scripts = dict.fromkeys(
            (
                *_scripts(new_entries),
                *await self._bound_secrets.scripts_bound_to_changed_stores(account_id, new_entries),
            )
        )
        return BundleChanges(cursor=Cursor.of(number, latest.leaf), scripts=tuple(scripts))

    async def bundle(self, ref: ScriptRef, wanted: ApprovedBy | None = None) -> bytes:
        """Return the signed bundle of a script. It has no versions if the script is missing or was never deployed.

        If the newest deployment has a version that cannot be served, the bundle has the newest earlier deployment
        that can be served.

        Args:
            ref: the script.
            wanted: the approvals that the delivery process accepts. A version without one is not served, and if no
                deployment is approved, the bundle has no versions.
        """
        served = await self._served(ref)
        versions = await self._bundle_versions(ref, served.versions)
        approvals = await self._approvals_of(ref, served.script_id, versions, wanted)
        waiting = tuple(version_id for version_id, approval in approvals.items() if approval is None)
        reasons = _unservable_reasons(versions)
        chosen = served
        if reasons or waiting:
            last_good = await self._last_good_of(ref, wanted)
            if last_good is not None:
                chosen = await state_served(self._store, ref, last_good)
                versions = await self._bundle_versions(ref, chosen.versions)
                approvals = await self._approvals_of(ref, chosen.script_id, versions, wanted)
            elif waiting:
                chosen, versions, approvals = msgspec.structs.replace(served, deployment=None), (), {}
        bundle = Bundle(
            account_id=ref.account_id,
            namespace=ref.namespace,
            script=ref.name,
            serial=served.head.number,
            versions=versions,
            inner=is_inner(served.triggers),
            script_id=served.script_id,
            deployment=_to_bundle_deployment(chosen.deployment),
            triggers=msgspec.Raw(served.triggers),
            triggers_proof=served.triggers_proof,
            behind=reasons if versions and chosen is not served else (),
            waiting=waiting,
            approvals=tuple(approval for approval in approvals.values() if approval is not None),
        )
        return self._safe.sign(bundle)

    async def _approvals_of(
        self, ref: ScriptRef, script_id: str, versions: Iterable[BundleVersion], wanted: ApprovedBy | None
    ) -> dict[str, Approval | None]:
        """Return an approval for each version that has one, by UUID; nothing if the process wants none."""
        if wanted is None:
            return {}
        script = ScriptIdentity(ref.account_id, ref.namespace, ref.name, script_id)
        return {version.id: await self._approvals.find(script, version, wanted) for version in versions}

    async def _last_good_of(self, ref: ScriptRef, wanted: ApprovedBy | None) -> Served | None:
        """Return the newest deployment that can be served and, if the process wants approvals, is approved."""
        if wanted is not None and not await self._approvals.any_since(ref, wanted):
            return None

        async def refuse(served: Served) -> set[bytes]:
            """Return the versions of a deployment that cannot be served or are not approved."""
            versions = await self._bundle_versions(ref, served.versions)
            approvals = await self._approvals_of(ref, served.script_id, versions, wanted)
            unapproved = {version_id for version_id, approval in approvals.items() if approval is None}
            return {
                uuid.UUID(version.id).bytes
                for version in versions
                if version.id in unapproved or any(problems_of(version))
            }

        return await self._last_good.of(ref, refuse)

    async def _served(self, ref: ScriptRef) -> Served:
        """Return the served versions, with a statement of each."""
        return await state_served(self._store, ref, await self._store.served(ref))

    async def _bundle_versions(self, ref: ScriptRef, versions: Sequence[ServedVersion]) -> tuple[BundleVersion, ...]:
        """Return versions in the form of a bundle.

        Read the log's head before this call, so that the stored secrets are never older than the head.
        """
        stored = await self._bound_secrets.for_bindings(
            ref.account_id, [binding for version in versions for binding in version.bindings]
        )
        return tuple(to_bundle_version(version, stored) for version in versions)

    async def _all_scripts(self, account_id: str, head: AuditHead) -> BundleChanges:
        """Return all scripts.

        The log's head was read before, so a change in between is reported once more.
        """
        scripts = tuple(script.ref.name for script in await self._store.scripts(account_id))
        return BundleChanges(cursor=Cursor.of(head.number, head.leaf), scripts=scripts, whole=True)

    async def _is_in_log(self, account_id: str, cursor: Cursor) -> bool:
        """Return whether a cursor stands at an entry of the account's log."""
        found = await self._store.audit_entries(account_id, cursor.number - 1, 1)
        return any(Cursor.of(number, entry.leaf) == cursor for number, entry in found)


def _to_bundle_deployment(deployment: ServedDeployment | None) -> BundleDeployment | None:
    """Return a deployment in the form of a bundle."""
    if deployment is None:
        return None
    return BundleDeployment(deployment.id, deployment.newest, deployment.place, deployment.proof)


def _unservable_reasons(versions: Iterable[BundleVersion]) -> tuple[str, ...]:
    """Return why versions cannot be served, each reason once."""
    return tuple(dict.fromkeys(problem.detail for version in versions for problem in problems_of(version)))


def _scripts(entries: Iterable[AuditEntry]) -> tuple[str, ...]:
    """Return the scripts outside dispatch namespaces that log entries change, each once."""
    decoded = [_SCRIPT_ENTRY.decode(entry.entry) for entry in entries]
    changes = [entry for entry in decoded if not entry.outcome]
    return tuple(dict.fromkeys(entry.script for entry in changes if entry.script and not entry.namespace))
