"""Makes stored records and proofs of statements from the group commits that have stated them."""

from collections.abc import Callable, Sequence
from typing import Any

from nightsafe.merkle.statements import SignedStatements
from nightsafe.sealing.proven_record import ProvenRecord


class Proofs:
    """The proofs of statements, within one transaction. Each group commit is read once.

    Args:
        origin: the log's origin.
        read: returns the size, root, digests, signer and signature of a group commit by its first number, or None.
    """

    def __init__(self, origin: str, read: Callable[[int], Sequence[Any] | None]) -> None:
        self._origin = origin
        self._read = read
        self._groups: dict[int, SignedStatements | None] = {}

    def proof(self, stated_in: int | None, position: int | None) -> bytes:
        """Return the packed proof of a statement; b"" for a row that is older than the log or has a wrong place."""
        if stated_in is None or position is None:
            return b""
        if stated_in not in self._groups:
            self._groups[stated_in] = self._group(stated_in)
        group = self._groups[stated_in]
        return b"" if group is None or not group.has(position) else group.proof(position).pack()

    def record(self, sealed: bytes, since: int | None, stated_in: int | None, position: int | None) -> bytes:
        """Return a stored record: a sealed value with its proof, or a record of the first form as it is stored."""
        proof = self.proof(stated_in, position)
        return sealed if since is None or not proof else ProvenRecord.join(since, proof, sealed)

    def _group(self, stated_in: int) -> SignedStatements | None:
        """Read a group commit."""
        row = self._read(stated_in)
        if row is None:
            return None
        size, root, digests, signer_id, signature = row
        return SignedStatements(
            origin=self._origin, size=size, root=root, digests=digests, signer_id=signer_id, signature=signature
        )
