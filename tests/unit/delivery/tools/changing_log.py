"""A source of bundles whose log a test can put back, cut, fork or exchange."""

from nightsafe.bundle.approvals.approval import ApprovedBy
from nightsafe.bundle.log_proof import LogProof
from nightsafe.bundle.model import Bundle
from nightsafe.bundle.signed import sign_bundle
from nightsafe.delivery.source.bundle_source import MemorySource
from nightsafe.errors import Code, NightsafeError
from nightsafe.merkle.checkpoint import Checkpoint, NoteKey
from nightsafe.merkle.proofs import consistency_proof
from nightsafe.merkle.tree import leaf_hash, root_of
from nightsafe.sealing.signing_key import SigningKey

ACCOUNT = "a"


class ChangingLog(MemorySource):
    """A source with one script, whose bundle has the log's size as its serial unless a test sets another.

    Args:
        key: signs the bundles and the checkpoints.

    Attributes:
        entries: the entries of the log.
        origin: the log's origin.
        key: as the argument.
        bundle_serial: the serial of bundles; None for the log's size.
        is_silent: whether requests for the checkpoint fail.
    """

    def __init__(self, key: SigningKey) -> None:
        super().__init__(ACCOUNT, key)
        self.entries: list[str] = []
        self.origin = "nightsafe/test"
        self.key = key
        self.bundle_serial: int | None = None
        self.is_silent = False

    def grow(self, name: str, count: int) -> None:
        """Append entries."""
        self.entries += [f"{name} {number}" for number in range(count)]

    def checkpoint(self) -> Checkpoint:
        """Return the log's checkpoint."""
        return Checkpoint(self.origin, len(self.entries), root_of(self._hashes()))

    async def log_proof(self, old: int) -> LogProof:
        """Implement `BundleSource.log_proof`, as `TransparencyLog.proof` does."""
        if self.is_silent:
            raise NightsafeError(Code.UNAVAILABLE, "the API answered 503")
        if not self.entries:
            return LogProof(b"", ())
        leaves, text = self._hashes(), self.checkpoint().text()
        note = text + b"\n" + NoteKey(self.origin, self.key.public).line(self.key.sign_message(text))
        if not 0 < old < len(leaves):
            return LogProof(note, ())
        proof = consistency_proof(
            old, len(leaves), lambda height, index: root_of(leaves[index << height : (index + 1) << height])
        )
        return LogProof(note, tuple(proof))

    async def bundle(self, script: str, _: ApprovedBy | None = None) -> bytes:
        """Implement `BundleSource.bundle` with a bundle without versions."""
        serial = len(self.entries) if self.bundle_serial is None else self.bundle_serial
        return sign_bundle(Bundle(account_id=ACCOUNT, script=script, serial=serial), self.key)

    def _hashes(self) -> list[bytes]:
        """Return the log's leaf hashes."""
        return [leaf_hash(entry.encode()) for entry in self.entries]
