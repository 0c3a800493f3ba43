"""What the delivery side is given: which scripts have changed, and each as it is to be served, signed."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from nightsafe.bundle.compatibility import problems_of
from nightsafe.bundle.model import Bundle, BundleVersion
from nightsafe.services.delivery.bundling import bundled
from nightsafe.services.scripts.triggers import is_inner
from nightsafe.services.secrets.seal import Safe
from nightsafe.services.secrets_store.bound_secrets import BoundSecrets
from nightsafe.services.versions.last_good import LastGood
from nightsafe.store.bundles import AuditHead, ServedVersion
from nightsafe.store.changes import AuditEntry
from nightsafe.store.interface import Store
from nightsafe.store.scripts import ScriptRef

_MOST_ENTRIES: Final = 5000
"""Log entries past which all scripts are named instead: looking through them would hold others up."""

_LEAF_DIGITS: Final = 16


class Cursor(Struct, frozen=True):
    """How far the log has been heeded: an entry's number, and the first 16 hex digits of its leaf hash."""

    number: int
    leaf: str

    @classmethod
    def of(cls, number: int, leaf: bytes) -> "Cursor":
        """The one that stands at an entry."""
        return cls(number, leaf.hex()[:_LEAF_DIGITS])


class Changes(Struct, frozen=True, kw_only=True):
    """What has changed.

    Attributes:
        cursor: up to where this tells.
        scripts: names of the scripts outside of dispatch namespaces that may have, each once.
        whole: these are all scripts there are.
        rolled_back: the cursor that was given is not of this log: the database was put back to an older state.
    """

    cursor: Cursor
    scripts: tuple[str, ...] = ()
    whole: bool = False
    rolled_back: bool = False

    @property
    def is_news(self) -> bool:
        """Whether there is anything to act on."""
        return bool(self.scripts) or self.whole


class _Touched(Struct, frozen=True):
    """The members of a log entry that say which script it is about."""

    script: str = ""
    namespace: str = ""


_TOUCHED: Final = msgspec.json.Decoder(_Touched)


class Bundles:
    """The use cases of the delivery side.

    Args:
        store: where everything is kept.
        safe: what signs.
    """

    def __init__(self, store: Store, safe: Safe) -> None:
        self._store = store
        self._safe = safe
        self._bound = BoundSecrets(store)
        self._last_good = LastGood(store)

    async def changes(self, account_id: str, after: Cursor | None) -> Changes:
        """What has changed since a cursor; everything there is without one, or when it cannot be followed."""
        head = await self._store.audit_head(account_id)
        if after is None:
            return await self._whole(account_id, head)
        if not await self._is_of_log(account_id, after):
            return msgspec.structs.replace(await self._whole(account_id, head), rolled_back=True)
        entries = await self._store.audit_entries(account_id, after.number, _MOST_ENTRIES)
        if len(entries) == _MOST_ENTRIES:
            return await self._whole(account_id, head)
        if not entries:
            return Changes(cursor=after)
        number, latest = entries[-1]
        told = [entry for _, entry in entries]
        scripts = dict.fromkeys((*_scripts(told), *await self._bound.scripts(account_id, told)))
        return Changes(cursor=Cursor.of(number, latest.leaf), scripts=tuple(scripts))

    async def bundle(self, ref: ScriptRef) -> bytes:
        """A script as it is to be served, signed; without versions when it is not there or was never deployed.

        When the newest deployment has a version that cannot be served, it is the newest one before it that can be.
        """
        served = await self._store.served(ref)
        versions = await self._bundled(ref, served.versions)
        behind = _reasons(versions)
        instead = await self._last_good.of(ref) if behind else None
        bundle = Bundle(
            account_id=ref.account_id,
            namespace=ref.namespace,
            script=ref.name,
            serial=served.head.number,
            versions=versions if instead is None else await self._bundled(ref, instead),
            inner=is_inner(served.triggers),
            behind=() if instead is None else behind,
        )
        return self._safe.sign(bundle)

    async def _bundled(self, ref: ScriptRef, versions: Sequence[ServedVersion]) -> tuple[BundleVersion, ...]:
        """Versions as a bundle has them. The log's head was read before: what is stored is never older than it."""
        stored = await self._bound.of(ref.account_id, [binding for one in versions for binding in one.bindings])
        return tuple(bundled(one, stored) for one in versions)

    async def _whole(self, account_id: str, head: AuditHead) -> Changes:
        """All scripts. The log's head was read before: what changes meanwhile is told once more."""
        scripts = tuple(script.ref.name for script in await self._store.scripts(account_id))
        return Changes(cursor=Cursor.of(head.number, head.leaf), scripts=scripts, whole=True)

    async def _is_of_log(self, account_id: str, cursor: Cursor) -> bool:
        """Whether a cursor stands at an entry of the account's log."""
        found = await self._store.audit_entries(account_id, cursor.number - 1, 1)
        return any(Cursor.of(number, entry.leaf) == cursor for number, entry in found)


def _reasons(versions: Iterable[BundleVersion]) -> tuple[str, ...]:
    """Why versions cannot be served, each reason once."""
    return tuple(dict.fromkeys(problem.detail for one in versions for problem in problems_of(one)))


def _scripts(entries: Iterable[AuditEntry]) -> tuple[str, ...]:
    """The scripts outside of dispatch namespaces that log entries are about, each once."""
    touched = [_TOUCHED.decode(entry.entry) for entry in entries]
    return tuple(dict.fromkeys(one.script for one in touched if one.script and not one.namespace))
