"""The interface of a source of bundles, and a source in memory."""

import asyncio
from contextlib import suppress
from hashlib import sha256
from typing import Protocol

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from nightsafe.bundle.approvals.approval import ApprovedBy
from nightsafe.bundle.log_proof import LogProof
from nightsafe.bundle.model import Bundle
from nightsafe.bundle.processes import HeldScriptsReport
from nightsafe.bundle.signed import sign_bundle
from nightsafe.errors import Code, NightsafeError
from nightsafe.merkle.checkpoint import Checkpoint, NoteKey
from nightsafe.merkle.proofs import consistency_proof
from nightsafe.merkle.tree import leaf_hash, root_of
from nightsafe.sealing.interfaces import NoteSigner

_ORIGIN = "nightsafe/memory"


class BundleChanges(Struct, frozen=True, kw_only=True):
    """The changes after a cursor.

    Attributes:
        cursor: the position of the last change; the next request asks for changes after it.
        scripts: names of the scripts whose bundle may have changed, each once.
        whole: whether `scripts` lists all scripts, because the request had no cursor or one that cannot be continued.
        rolled_back: whether the cursor is ahead of the log or belongs to another log: the cursor comes from a
            different database.
    """

    cursor: str
    scripts: tuple[str, ...]
    whole: bool = False
    rolled_back: bool = False


class BundleSource(Protocol):
    """The part of the API that the delivery process uses. The delivery process trusts only its signed answers."""

    async def changes(self, after: str, *, wait: bool) -> BundleChanges:
        """Wait for changes.

        A request for the changes after a cursor also acknowledges that the caller has acted on all changes up to it,
        as far as that is possible at all. Writes wait for this acknowledgement.

        Args:
            after: the cursor of the previous answer, or "" for all scripts.
            wait: whether to wait, for half a minute at the most, when there are no changes yet.

        Returns:
            The changes, possibly none.

        Raises:
            NightsafeError: UNAVAILABLE, when the source cannot be reached.
        """
        ...

    async def bundle(self, script: str, wanted: ApprovedBy | None = None) -> bytes:
        """Return the current signed bundle of a script; a bundle without versions if there is no such script.

        Args:
            script: the script's name.
            wanted: the approvals that the versions must have; None if they need none. The caller checks them.

        Raises:
            NightsafeError: UNAVAILABLE, when the source cannot be reached.
        """
        ...

    async def module(self, digest: bytes) -> bytes:
        """Return the contents with this SHA-256; the caller checks them.

        Raises:
            NightsafeError: UNAVAILABLE, when the source cannot be reached or does not have them.
        """
        ...

    async def log_proof(self, old: int) -> LogProof:
        """Return the log's checkpoint, with the proof that the log begins with the log of an older size.

        Raises:
            NightsafeError: UNAVAILABLE, when the source cannot be reached.
        """
        ...

    async def report(self, report: HeldScriptsReport) -> None:
        """Report which scripts are held apart.

        Raises:
            NightsafeError: UNAVAILABLE, when the source cannot be reached or does not accept the report.
        """
        ...


class MemorySource:
    """A source in this process, for callers that have the bundles in memory.

    Args:
        account_id: the account that owns the scripts.
        signer: signs the bundles and the checkpoints, as the API does.
        wait_seconds: how long to wait for changes.
    """

    def __init__(self, account_id: str, signer: NoteSigner, wait_seconds: float = 25.0) -> None:
        self._account_id = account_id
        self._signer = signer
        self._wait_seconds = wait_seconds
        self._bundles: dict[str, Bundle] = {}
        self._changed_serials: dict[str, int] = {}
        self._modules: dict[bytes, bytes] = {}
        self._leaves: list[bytes] = []
        self._condition = asyncio.Condition()
        self.serial = 0
        self.acknowledged = 0
        self.last_report = HeldScriptsReport(held=())

    async def changes(self, after: str, *, wait: bool) -> BundleChanges:
        """Implement `BundleSource.changes`."""
        seen = int(after or 0)
        async with self._condition:
            self.acknowledged = seen
            self._condition.notify_all()
            if seen > self.serial:
                return BundleChanges(
                    cursor=str(self.serial), scripts=tuple(self._changed_serials), whole=True, rolled_back=True
                )
            if wait and after:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._wait_seconds):
                        await self._condition.wait_for(lambda: self.serial > seen)
            scripts = tuple(name for name, serial in self._changed_serials.items() if serial > seen)
            return BundleChanges(cursor=str(self.serial), scripts=scripts, whole=not after)

    async def bundle(self, script: str, wanted: ApprovedBy | None = None) -> bytes:  # noqa: ARG002 - never chooses
        """Implement `BundleSource.bundle`."""
        empty = Bundle(account_id=self._account_id, script=script, serial=0)
        current = self._bundles.get(script, empty)
        return sign_bundle(replace(current, serial=self.serial), self._signer)

    async def module(self, digest: bytes) -> bytes:
        """Implement `BundleSource.module`."""
        if digest not in self._modules:
            raise NightsafeError(Code.UNAVAILABLE, "the module does not exist")
        return self._modules[digest]

    async def log_proof(self, old: int) -> LogProof:
        """Implement `BundleSource.log_proof`. The log has one entry for each change."""
        leaves = self._leaves
        if not leaves:
            return LogProof(b"", ())
        text = Checkpoint(_ORIGIN, len(leaves), root_of(leaves)).text()
        note = text + b"\n" + NoteKey(_ORIGIN, self._signer.public).line(self._signer.sign_message(text))

        def node(height: int, index: int) -> bytes:
            """Return the root of a perfect subtree."""
            return root_of(leaves[index << height : (index + 1) << height])

        return LogProof(note, tuple(consistency_proof(min(old, len(leaves)), len(leaves), node)))

    async def report(self, report: HeldScriptsReport) -> None:
        """Implement `BundleSource.report`."""
        self.last_report = report

    def store_module(self, contents: bytes) -> bytes:
        """Store the contents of a module; return their SHA-256."""
        digest = sha256(contents).digest()
        self._modules[digest] = contents
        return digest

    async def put(self, bundle: Bundle) -> int:
        """Replace the bundle of a script; return the new serial."""
        async with self._condition:
            self.serial += 1
            self._leaves.append(leaf_hash(msgspec.json.encode(bundle)))
            self._bundles[bundle.script] = bundle
            self._changed_serials[bundle.script] = self.serial
            self._condition.notify_all()
            return self.serial

    async def wait_until_acknowledged(self, serial: int) -> None:
        """Wait until the delivery process has acted on all changes up to a serial."""
        async with self._condition:
            await self._condition.wait_for(lambda: self.acknowledged >= serial)
