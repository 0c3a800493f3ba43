"""Keeps the newest cosignatures of witnesses in memory. After a restart the API asks the witnesses again.

Only the first of several API processes asks the witnesses; the others have the cosignatures from it.
"""

from itertools import chain
from typing import Final

from nightsafe.merkle.checkpoint import read_note
from nightsafe.merkle.verifier_key import VerifierKey
from nightsafe.services.delivery.siblings import CosignedNote, Siblings


class Cosignatures:
    """For each witness the newest checkpoint that it has cosigned, with the cosignatures of others on it.

    Args:
        siblings: the other API processes of this server.
    """

    def __init__(self, siblings: Siblings | None = None) -> None:
        self._siblings: Final = siblings or Siblings()
        self._newest: Final[dict[VerifierKey, bytes]] = {}
        self._lines: Final[dict[bytes, dict[VerifierKey, bytes]]] = {}

    def add(self, note: bytes, witness: VerifierKey, line: bytes) -> None:
        """Keep a verified cosignature in place of the witness's earlier one.

        Args:
            note: the note that the log has signed.
            witness: the witness.
            line: the signature line of the cosignature.
        """
        self._newest[witness] = note
        self._lines.setdefault(note, {})[witness] = line
        needed = set(self._newest.values())
        for old in [old for old in self._lines if old not in needed]:
            del self._lines[old]
        self._siblings.own.cosigned = tuple(
            CosignedNote(kept, b"".join(lines.values())) for kept, lines in self._lines.items()
        )
        self._siblings.publish()

    def cosigned(self, note: bytes) -> bytes:
        """Return a note with the cosignatures on it as further signature lines."""
        return note + next((one.lines for one in self._known() if one.note == note), b"")

    def notes(self, size: int) -> list[tuple[int, bytes]]:
        """Return the cosigned notes up to a size of the log, each with its size and cosignatures; newest first."""
        found = [(read_note(one.note).size, one.note + one.lines) for one in self._known()]
        return sorted((one for one in found if one[0] <= size), reverse=True)

    def _known(self) -> list[CosignedNote]:
        """Return the cosigned notes of all API processes."""
        self._siblings.refresh()
        states = (self._siblings.own, *self._siblings.states)
        return list(chain.from_iterable(state.cosigned for state in states))
