"""A source of bundles whose checkpoints witnesses cosign."""

from pathlib import Path

from msgspec.structs import replace
from tests.unit.delivery.tools.changing_log import ChangingLog

from nightsafe.audit.witness.key import WitnessKey
from nightsafe.audit.witness.request import AddCheckpoint
from nightsafe.audit.witness.state import WitnessState
from nightsafe.audit.witness.witness import Witness
from nightsafe.bundle.log_proof import Cosigned, LogProof
from nightsafe.merkle.checkpoint import NoteKey, read_note
from nightsafe.merkle.verifier_key import VerifierKey
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.services.audit.cosignatures import Cosignatures


class WitnessedLog(ChangingLog):
    """A log with some witnesses in this process.

    Args:
        key: signs the bundles and the checkpoints.
        folder: the directory for the state of the witnesses.
        count: the number of witnesses.
    """

    def __init__(self, key: SigningKey, folder: Path, count: int = 1) -> None:
        super().__init__(key)
        self.cosignatures = Cosignatures()
        self.witnesses = [
            _witness(folder / str(number), number, NoteKey(self.origin, key.public)) for number in range(count)
        ]

    @property
    def keys(self) -> tuple[VerifierKey, ...]:
        """Return the keys of the witnesses."""
        return tuple(key for key, _ in self.witnesses)

    async def ask(self, number: int = 0) -> int:
        """Ask a witness for a cosignature of the checkpoint; return the status of its answer."""
        key, witness = self.witnesses[number]
        last = witness._state.last(self.origin)
        answer = await super().log_proof(last.size if last else 0)
        checkpoint = read_note(answer.checkpoint)
        old = last.size if last else 0
        request = AddCheckpoint(old, answer.proof, answer.checkpoint, checkpoint)
        got = await witness.add_checkpoint(request.encode())
        if got.status == 200:
            self.cosignatures.add(answer.checkpoint, key, got.body)
        return got.status

    async def log_proof(self, old: int) -> LogProof:
        """Implement `BundleSource.log_proof`."""
        answer = await super().log_proof(old)
        cosigned = [
            Cosigned(note, (await super(WitnessedLog, self).log_proof(size)).proof)
            for size, note in self.cosignatures.notes(len(self.entries))
        ]
        return replace(answer, cosigned=tuple(cosigned))


def _witness(folder: Path, number: int, log: NoteKey) -> tuple[VerifierKey, Witness]:
    """Return a witness of a log with its key."""
    folder.mkdir()
    key = WitnessKey.generate(f"witness.example/w{number}")
    state = WitnessState(folder, key.verifier_key)
    return key.verifier_key, Witness(key, state, {log.name: [log]}, lambda: 1_700_000_000.0)
