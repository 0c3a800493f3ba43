"""Tells whether a commit by any node has written an identity: the log's new entries say so.

A node remembers the tokens that it has looked up until an identity is written. Most commits write none, so a node
need not look its tokens up again after each.
"""

from typing import Final

from nightsafe.store.log.written import names_identities
from nightsafe.store.postgres.engine.reader import LookUps, Reader

_MOST_ENTRIES: Final = 512
"""How many entries a look reads. Of more, one is taken to have written an identity."""

_LOOK: Final = f"""
SELECT k.n, h.size, ARRAY(SELECT a.entry FROM audit a WHERE a.seq > k.size ORDER BY a.seq LIMIT {_MOST_ENTRIES})
FROM unnest($1::bigint[], $2::bigint[]) AS k(n, size) CROSS JOIN log_head h
"""  # noqa: S608 - our own SQL


class IdentityGeneration:
    """The size that the log had after the last commit that may have written an identity.

    Args:
        reader: executes the statements.

    Attributes:
        number: the size of the log after that commit; it grows with each such commit.
        size: the size up to which the entries are known.
    """

    def __init__(self, reader: Reader) -> None:
        self._look_ups = LookUps(reader, _LOOK)
        self.number = self.size = 0

    async def look(self) -> tuple[int, int]:
        """Read the new entries; return the number, and the size of the log."""
        known = self.size
        size, entries = await self._look_ups.find(known)
        if size > self.size:
            if len(entries) != size - known or any(map(names_identities, entries)):
                self.number = size
            self.size = size
        return self.number, size
