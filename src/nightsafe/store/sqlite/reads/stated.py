"""Reads the proofs of statements, and makes stored records with them."""

import sqlite3
from typing import Final

from nightsafe.merkle.statements import SignedStatements
from nightsafe.sealing.proven_record import ProvenRecord

_ORIGIN: Final = "SELECT origin FROM log_head"
_GROUP: Final = "SELECT size, root, digests, signer, signature FROM log_groups WHERE first = ?"


class Proofs:
    """The proofs of statements, within one transaction. Each group commit is read once.

    Args:
        db: a cursor in a transaction.
    """

    def __init__(self, db: sqlite3.Cursor) -> None:
        self._db = db
        self._origin: str = db.execute(_ORIGIN).fetchone()[0]
        self._groups: dict[int, SignedStatements] = {}

    def proof(self, stated_in: int | None, position: int | None) -> bytes:
        """Return the packed proof of a statement; b"" for a row that is older than the log or has a wrong place."""
        if stated_in is None or position is None:
            return b""
        group = self._groups.get(stated_in) or self._read(stated_in)
        return b"" if group is None or not group.has(position) else group.proof(position).pack()

    def record(self, sealed: bytes, since: int | None, stated_in: int | None, position: int | None) -> bytes:
        """Return a stored record: a sealed value with its proof, or a record of the first form as it is stored."""
        proof = self.proof(stated_in, position)
        return sealed if since is None or not proof else ProvenRecord.join(since, proof, sealed)

    def _read(self, stated_in: int) -> SignedStatements | None:
        """Read a group commit."""
        row = self._db.execute(_GROUP, (stated_in,)).fetchone()
        if row is None:
            return None
        size, root, digests, signer_id, signature = row
        group = SignedStatements(
            origin=self._origin, size=size, root=root, digests=digests, signer_id=signer_id, signature=signature
        )
        self._groups[stated_in] = group
        return group
