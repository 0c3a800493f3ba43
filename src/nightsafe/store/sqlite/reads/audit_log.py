"""The reads of the transparency log: its checkpoint, the hashes of its tiles, and its entries."""

from typing import Final

from nightsafe.store.changes import AuditEntry
from nightsafe.store.sqlite.engine.reader import Reader

_CHECKPOINT: Final = "SELECT checkpoint FROM log_head"
_LEAVES: Final = "SELECT leaf FROM audit WHERE seq > ? AND seq <= ? ORDER BY seq"
_NODES: Final = "SELECT hash FROM log_nodes WHERE level = ? AND number >= ? AND number < ? ORDER BY number"
_ENTRIES: Final = "SELECT account_id, entry, leaf FROM audit WHERE seq > ? AND seq <= ? ORDER BY seq"


class AuditLogReads:
    """The part of `Store` that reads the transparency log."""

    _reader: Reader

    async def checkpoint(self) -> bytes:
        """See `Store.checkpoint`."""
        return bytes(self._reader.one(_CHECKPOINT, ())[0])

    async def log_hashes(self, level: int, start: int, count: int) -> list[bytes]:
        """See `Store.log_hashes`."""
        if level == 0:
            return [leaf for (leaf,) in self._reader.all(_LEAVES, (start, start + count))]
        return [root for (root,) in self._reader.all(_NODES, (level, start, start + count))]

    async def log_entries(self, start: int, count: int) -> list[AuditEntry]:
        """See `Store.log_entries`."""
        return [AuditEntry(*row) for row in self._reader.all(_ENTRIES, (start, start + count))]
