"""Checks that the API's log has only grown since this process, or an earlier one, last saw it."""

import asyncio
import time
from typing import Final

from nightsafe.bundle.log_proof import LogProof
from nightsafe.delivery.cache.serials import SeenLog, Serials
from nightsafe.delivery.source.bundle_source import BundleSource
from nightsafe.delivery.source.witnesses import RequiredWitnesses, WitnessCheck
from nightsafe.errors import Code, NightsafeError
from nightsafe.merkle.checkpoint import Checkpoint
from nightsafe.merkle.proofs import is_consistent
from nightsafe.sealing.interfaces import Verifier

_WAY_OUT: Final = (
    "nothing more is taken from it. If you have restored a backup on purpose, run: nightsafe delivery accept-restore"
)
_UNCHECKED: Final = -1


class LogCheck:
    """Remembers the last checkpoint of an account's log, and refuses a log that does not continue it.

    Args:
        account_id: the account.
        source: provides checkpoints and proofs.
        verifier: verifies the checkpoints' signatures.
        serials: keeps the last checkpoint durably.
        required: the witnesses that must cosign the log; None for none.
    """

    def __init__(
        self,
        account_id: str,
        source: BundleSource,
        verifier: Verifier,
        serials: Serials,
        required: RequiredWitnesses | None = None,
    ) -> None:
        self._account_id = account_id
        self._source = source
        self._verifier = verifier
        self._serials = serials
        self._witness_check = WitnessCheck(required, verifier) if required else None
        self._lock = asyncio.Lock()
        self._next: asyncio.Task[None] | None = None
        self.size = _UNCHECKED
        """The size of the log that this process has checked; -1 before the first check and after a failed one."""

    async def check(self) -> None:
        """Get the log's checkpoint, and check that it continues the last one.

        Raises:
            NightsafeError: UNAVAILABLE, when the source cannot be reached or required cosignatures are missing;
                CANNOT_OPEN or INVALID, when the log was put back, cut, or forked, or no trusted key has signed its
                checkpoint. Then nothing is remembered, so that the log is refused however far it grows.
        """
        if self._next is None:
            self._next = asyncio.ensure_future(self._run())
            self._next.add_done_callback(_ignore_error)
        await asyncio.shield(self._next)

    async def cover(self, serial: int) -> None:
        """Check that the log reaches a bundle's serial. The check begins after the bundle has arrived.

        An earlier check does not count: the database may have been put back since. Bundles that arrive during a check
        share the next one.

        Raises:
            NightsafeError: as for `check`; INVALID also when the log ends before the serial.
        """
        await self.check()
        if serial > self.size:
            raise NightsafeError(
                Code.INVALID,
                f"the bundle has serial {serial}, but the API's log has only {self.size} entries: the API shows"
                " another log than the one that it makes bundles from",
            )

    async def _run(self) -> None:
        """Check the log after the check that is under way. Later callers need another check."""
        async with self._lock:  # a slower answer must not replace the checkpoint of a later one
            self._next = None
            await self._check()

    async def _check(self) -> None:
        """Check the log for every caller that waits for this check."""
        before = self._serials.log(self._account_id)
        answer = await self._source.log_proof(before.size if before else 0)
        try:
            seen = self._open(answer, before)
        except NightsafeError:
            self.size = _UNCHECKED
            raise
        if seen is not None:
            self._serials.keep_log(self._account_id, seen)
        self.size = seen.size if seen else 0

    def _open(self, answer: LogProof, before: SeenLog | None) -> SeenLog | None:
        """Return the checkpoint in an answer; None for a log without entries that nothing was seen of.

        Raises:
            NightsafeError: CANNOT_OPEN or INVALID, as for `check`.
        """
        if not answer.checkpoint and before is None:
            return None
        checkpoint = self._verifier.open_checkpoint(answer.checkpoint) if answer.checkpoint else None
        if before is not None and (checkpoint is None or not continues(before, checkpoint, answer.proof)):
            size = checkpoint.size if checkpoint else 0
            raise NightsafeError(
                Code.INVALID,
                f"the API's log, which has {size} entries, does not continue the log of {before.size} entries that"
                f" was seen last: the database was put back to an older state or exchanged; {_WAY_OUT}",
            )
        if checkpoint is not None and self._witness_check is not None:
            self._witness_check.check(checkpoint, answer, time.monotonic())
        return None if checkpoint is None else SeenLog(checkpoint.origin, checkpoint.size, checkpoint.root)


def _ignore_error(task: "asyncio.Task[None]") -> None:
    """Retrieve a check's error, in case all its callers were cancelled."""
    if not task.cancelled():
        task.exception()


def continues(before: SeenLog, checkpoint: Checkpoint, proof: tuple[bytes, ...]) -> bool:
    """Return True if a proof shows that a checkpoint's log begins with the log seen before."""
    return checkpoint.origin == before.origin and is_consistent(
        before.size, checkpoint.size, before.root, checkpoint.root, proof
    )
