"""Serves the transparency log: its checkpoint, its tiles, and proofs that it has only grown."""

from collections.abc import Callable
from typing import Final

from nightsafe.bundle.log_proof import Cosigned, LogProof
from nightsafe.errors import Code, NightsafeError
from nightsafe.merkle.checkpoint import read_note
from nightsafe.merkle.proofs import consistency_proof, proof_nodes
from nightsafe.merkle.tiles import Tile, entry_bundle, hash_ranges, node_from_tiles
from nightsafe.services.audit.cosignatures import Cosignatures
from nightsafe.services.delivery.siblings import Siblings
from nightsafe.store.interface import Store

MayRead = Callable[[str], bool]
"""Tells whether the caller may read the entries of an account."""

_ARCHIVED: Final = (
    "the operator of the safe has archived some of these entries of the log; their hashes are still here"
)
_NO_TILE: Final = "a tile of the log at its current size"


class TransparencyLog:
    """The use cases of the log's readers.

    Args:
        store: holds the log.
        siblings: the other API processes of this server.
    """

    def __init__(self, store: Store, siblings: Siblings | None = None) -> None:
        self._store: Final = store
        self.cosignatures: Final = Cosignatures(siblings)
        """The newest cosignatures of witnesses."""

    async def checkpoint(self) -> bytes:
        """Return the signed note of the newest checkpoint, with the cosignatures on it.

        Raises:
            NightsafeError: BAD_IDENTIFIER, before the first entry of the log.
        """
        note = await self._store.checkpoint()
        if not note:
            raise NightsafeError(Code.BAD_IDENTIFIER, "a checkpoint, because the log has no entry yet")
        return self.cosignatures.cosigned(note)

    async def tile(self, tile: Tile, may_read: MayRead) -> bytes:
        """Return the hashes of a tile, or the entries of a bundle of entries.

        Args:
            tile: the tile.
            may_read: tells whether the caller may read an account's entries. Hashes tell nothing about entries.
                Entries without an account concern the safe and its users: they need all accounts.

        Raises:
            NightsafeError: BAD_IDENTIFIER, if the log has no such tile; ENTRIES_ARCHIVED, if a bundle has archived
                entries; NOT_PERMITTED, if a bundle has entries that the caller may not read.
        """
        if not tile.exists(read_note(await self.checkpoint()).size):
            raise NightsafeError(Code.BAD_IDENTIFIER, _NO_TILE)
        if tile.level is not None:
            return b"".join(await self._store.log_hashes(tile.level, tile.start, tile.width))
        entries = await self._store.log_entries(tile.start, tile.width)
        if not all(entry.entry for entry in entries):
            raise NightsafeError(Code.ENTRIES_ARCHIVED, _ARCHIVED)
        account_ids = {entry.account_id for entry in entries}
        if "" in account_ids:
            account_ids = account_ids - {""} | {account.id for account in await self._store.accounts()}
        if not all(map(may_read, account_ids)):
            raise NightsafeError(Code.NOT_PERMITTED)
        return entry_bundle([entry.entry for entry in entries])

    async def proof(self, old: int) -> LogProof:
        """Return the newest checkpoint, with the proof that its log begins with the log of an older size.

        Args:
            old: the older size.

        Returns:
            The proof is empty if the log is shorter than `old`, which shows that it was cut.
        """
        note = await self._store.checkpoint()
        size = read_note(note).size if note else 0
        cosigned = [
            Cosigned(cosigned_note, await self._consistency(cosigned_size, size))
            for cosigned_size, cosigned_note in self.cosignatures.notes(size)
        ]
        return LogProof(note, await self._consistency(old, size), tuple(cosigned))

    async def _consistency(self, old: int, size: int) -> tuple[bytes, ...]:
        """Return the consistency proof between two sizes; an empty one if the log is shorter than `old`."""
        if not 0 < old < size:
            return ()
        hashes = {
            (level, start): await self._store.log_hashes(level, start, count)
            for level, start, count in hash_ranges(proof_nodes(old, size))
        }
        node = node_from_tiles(lambda level, start, _: hashes[level, start])
        return tuple(consistency_proof(old, size, node))
