"""The reads of the transparency log: its checkpoint, the hashes of its tiles, and its entries."""

from typing import Final

from nightsafe.store.changes import AuditEntry
from nightsafe.store.postgres.engine.reader import Reader

_CHECKPOINT: Final = "SELECT checkpoint FROM log_head"
_LEAVES: Final = "SELECT leaf FROM audit WHERE seq > $1 AND seq <= $2 ORDER BY seq"
_NODES: Final = "SELECT hash FROM log_nodes WHERE level = $1 AND number >= $2 AND number < $3 ORDER BY number"
_ENTRIES: Final = "SELECT account_id, entry, leaf FROM audit WHERE seq > $1 AND seq <= $2 ORDER BY seq"


class AuditLogReads:
    """The part of `Store` that reads the transparency log."""

    _reader: Reader

    async def checkpoint(self) -> bytes:
        """See `Store.checkpoint`."""
        return bytes((await self._reader.one(_CHECKPOINT))[0])

    async def log_hashes(self, level: int, start: int, count: int) -> list[bytes]:
        """See `Store.log_hashes`."""
        if level == 0:
            return [leaf for (leaf,) in await self._reader.all(_LEAVES, start, start + count)]
        return [root for (root,) in await self._reader.all(_NODES, level, start, start + count)]

    async def log_entries(self, start: int, count: int) -> list[AuditEntry]:
        """See `Store.log_entries`."""
        return [AuditEntry(*row) for row in await self._reader.all(_ENTRIES, start, start + count)]
