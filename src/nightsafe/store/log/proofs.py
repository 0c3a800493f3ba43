"""Makes stored records and proofs of statements from the group commits that have stated them."""

from collections.abc import Callable, Sequence
from typing import Any

from nightsafe.merkle.statements import SignedStatements
from nightsafe.sealing.proven_record import ProvenRecord
from nightsafe.store.bundles import ServedBinding
from nightsafe.store.collections import Kind
from nightsafe.store.sealed_values import StoredValue


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


def served_binding(  # noqa: PLR0913, PLR0917 - the columns of a row
    proofs: Proofs,
    name: str,
    kind: str,
    shown: bytes,
    since: int,
    sealed: bytes | None,
    stated_in: int | None,
    position: int | None,
) -> ServedBinding:
    """Build a binding of a served version from its row."""
    record = None if sealed is None else proofs.record(sealed, since, stated_in, position)
    return ServedBinding(name, kind, shown, since, record)


def stored_value(proofs: Proofs, mark: str, account_id: str, row: Sequence[Any]) -> StoredValue:
    """Build a value from its row: what `StoredValue` has, in order, and when and where it was stated."""
    collection, namespace, owner, environment, name, kind, shown, sealed, key_id, place, *stated = row
    return StoredValue(
        mark=mark,
        account_id=account_id,
        collection=None if collection is None else Kind(collection),
        namespace=namespace,
        owner=owner,
        environment=environment,
        name=name,
        kind=kind,
        shown=shown,
        sealed=sealed,
        record=proofs.record(sealed, *stated),
        key_id=key_id,
        place=place,
    )
