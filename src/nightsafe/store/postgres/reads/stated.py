"""Reads the group commits that the proofs of statements need."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from nightsafe.store.log.proofs import Proofs

if TYPE_CHECKING:
    from asyncpg import Connection

_ORIGIN: Final = "SELECT origin FROM log_head"
_GROUPS: Final = """
SELECT g.first, g.size, g.root, g.digests, g.signer, g.signature
FROM unnest($1::bigint[]) AS k(first) JOIN log_groups g ON g.first = k.first
"""


async def read_proofs(db: "Connection", stated_in: Iterable[int | None]) -> Proofs:
    """Read some group commits, within the transaction that has read the rows which they state."""
    numbers = {number for number in stated_in if number is not None}
    rows = {row[0]: row[1:] for row in await db.fetch(_GROUPS, [*numbers])} if numbers else {}
    return Proofs(await db.fetchval(_ORIGIN), rows.get)
