"""The witnesses that must have cosigned the API's log before delivery takes anything from it."""

from collections import deque
from typing import Final

from msgspec import Struct

from nightsafe.bundle.log_proof import LogProof
from nightsafe.errors import Code, NightsafeError
from nightsafe.merkle.checkpoint import Checkpoint
from nightsafe.merkle.cosignature import cosigners_of
from nightsafe.merkle.proofs import is_consistent
from nightsafe.merkle.verifier_key import VerifierKey
from nightsafe.sealing.interfaces import Verifier

GRACE_SECONDS: Final = 60.0
"""The longest time for which delivery takes entries that no witness has cosigned yet."""

_STEP_SECONDS: Final = 1.0


class RequiredWitnesses(Struct, frozen=True):
    """The operator's choice.

    Attributes:
        count: how many witnesses must have cosigned a checkpoint.
        keys: the keys of the witnesses that count.
    """

    count: int
    keys: tuple[VerifierKey, ...]


class WitnessCheck:
    """Checks that enough witnesses have cosigned the log, and that they soon cosign what is new.

    A write must not wait for a witness. So the newest entries may be without cosignatures, but each for at most
    `GRACE_SECONDS` after delivery has seen it. The log must begin with the log that was cosigned.

    Args:
        required: the operator's choice.
        verifier: verifies the log's own signatures.
    """

    def __init__(self, required: RequiredWitnesses, verifier: Verifier) -> None:
        self._required: Final = required
        self._verifier: Final = verifier
        self._uncovered: Final[deque[tuple[int, float]]] = deque()

    def check(self, checkpoint: Checkpoint, answer: LogProof, now: float) -> None:
        """Check the newest checkpoint.

        Args:
            checkpoint: the newest checkpoint, whose signature was verified.
            answer: the API's answer, with the cosigned checkpoints.
            now: a monotonic time, in seconds.

        Raises:
            NightsafeError: UNAVAILABLE, when too few witnesses have cosigned the log, or have not cosigned its newest
                entries for too long; CANNOT_OPEN or INVALID, when a cosigned checkpoint contradicts the log.
        """
        covered = max((self._covered(checkpoint, one.note, one.proof) for one in answer.cosigned), default=-1)
        if covered < 0:
            raise NightsafeError(
                Code.UNAVAILABLE,
                f"the API's log has no checkpoint that {self._required.count} of the required witnesses have"
                " cosigned: start serve with --witness for each, and look for witness.problem in its log",
            )
        while self._uncovered and self._uncovered[0][0] <= covered:
            self._uncovered.popleft()
        if covered < checkpoint.size and (not self._uncovered or now >= self._uncovered[-1][1] + _STEP_SECONDS):
            self._uncovered.append((checkpoint.size, now))
        if self._uncovered and now > self._uncovered[0][1] + GRACE_SECONDS:
            raise NightsafeError(
                Code.UNAVAILABLE,
                f"the witnesses have cosigned the API's log up to entry {covered}, and nothing newer for more than"
                f" {GRACE_SECONDS:.0f} s: look for witness.problem in the log of serve",
            )

    def _covered(self, checkpoint: Checkpoint, note: bytes, proof: tuple[bytes, ...]) -> int:
        """Return the size of a cosigned checkpoint; -1 if too few of the witnesses have cosigned it.

        Raises:
            NightsafeError: CANNOT_OPEN or INVALID, when a signature is wrong, or the log is not the cosigned one.
        """
        if len(cosigners_of(note, self._required.keys)) < self._required.count:
            return -1
        cosigned = self._verifier.open_checkpoint(note)
        if cosigned.origin != checkpoint.origin or not is_consistent(
            cosigned.size, checkpoint.size, cosigned.root, checkpoint.root, proof
        ):
            raise NightsafeError(
                Code.INVALID,
                "the API's log does not continue the log that the witnesses have cosigned: it was forked",
            )
        return cosigned.size
