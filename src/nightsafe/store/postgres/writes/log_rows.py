"""The rows of the log, which a group of changes writes with its last statement."""

from nightsafe.store.postgres.writes import tables
from nightsafe.store.postgres.writes.statement import Rows


class LogRows:
    """The part of `Rows` for the log.

    Attributes:
        log: the rows to write.
        advance: the new size, frontier and checkpoint; None without entries.
    """

    def __init__(self) -> None:
        self.log: Rows = {}
        self.advance: tuple[int, bytes, bytes] | None = None
        self._entries: list[tuple[object, ...]] = []
        self._begun = 0

    def begin_log(self) -> None:
        """Begin another change, which `undo_log` may undo."""
        self._begun = len(self._entries)

    def undo_log(self) -> None:
        """Forget the entry of the change."""
        del self._entries[self._begun :]

    def add_entry(self, number: int, account_id: str, entry: bytes, leaf: bytes) -> None:
        """See `Rows.add_entry`."""
        self._entries.append((account_id, number, entry, leaf))

    def add_node(self, level: int, number: int, root: bytes) -> None:
        """See `Rows.add_node`."""
        self.log.setdefault(tables.NODES.name, []).append((level, number, root))

    def add_group(self, first: int, size: int, root: bytes, digests: bytes, signer: tuple[str, bytes]) -> None:
        """See `Rows.add_group`."""
        self.log[tables.GROUPS.name] = [(first, size, root, digests, *signer)]

    def advance_log(self, size: int, frontier: bytes, checkpoint: bytes) -> None:
        """See `Rows.advance_log`."""
        self.advance = (size, frontier, checkpoint)
        self.log[tables.AUDIT.name] = self._entries
