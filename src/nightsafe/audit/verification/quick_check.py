"""A quick check of a log: its head, its checkpoint, its newest entries, and its newest signatures."""

import sqlite3
from typing import Final

from nightsafe.audit.verification.difference import DifferenceError
from nightsafe.audit.verification.log_check import Group, check_head, check_index, check_row, read_head
from nightsafe.merkle.tiles import node_from_tiles
from nightsafe.merkle.tree import Frontier
from nightsafe.sealing.verify_keys import VerifyKeys

NEWEST: Final = 1000
"""The number of entries that are checked."""

_GROUPS: Final = 20
_LAST_ENTRIES: Final = "SELECT seq, account_id, entry, leaf FROM audit ORDER BY seq DESC LIMIT ?"
_COUNT: Final = "SELECT max(seq) FROM audit"
_LAST_GROUPS: Final = (
    "SELECT first, size, root, digests, signer, signature FROM log_groups ORDER BY first DESC LIMIT ?"  # newest first
)
_LEAVES: Final = "SELECT leaf FROM audit WHERE seq > ? AND seq <= ? ORDER BY seq"
_NODES: Final = "SELECT hash FROM log_nodes WHERE level = ? AND number >= ? AND number < ? ORDER BY number"


def check_quickly(db: sqlite3.Connection, keys: VerifyKeys) -> int:
    """Check the newest part of a log, and return the number of all its entries.

    Args:
        db: the database, in a read transaction.
        keys: the public keys that verify the log's signatures.

    Raises:
        DifferenceError: the first difference.
    """
    try:
        head = read_head(db)
        size = int(db.execute(_COUNT).fetchone()[0] or 0)
        written = False
        for number, (seq, account_id, data, leaf) in enumerate(db.execute(_LAST_ENTRIES, (NEWEST,))):
            if not data and seq <= head.archived:
                check_index(seq - 1, size - 1 - number)
                continue
            entry = check_row(seq - 1, size - 1 - number, account_id, data, leaf)
            written = written or entry.written is not None
        check_head(head, _frontier(db, size), keys, is_signed=written)
        for row in db.execute(_LAST_GROUPS, (_GROUPS,)):
            group = Group(*row)
            if group.size > size:
                raise DifferenceError(f"the log has a signature over {group.size} entries, and {size} entries")
            group.check_signature(head.origin, keys)
    except (TypeError, ValueError, OverflowError, AttributeError, LookupError):
        raise DifferenceError("a row of the log has a form that this program does not write") from None
    return size


def _frontier(db: sqlite3.Connection, size: int) -> Frontier:
    """Return the tree of the entries, from the stored hashes."""

    def hashes(level: int, start: int, count: int) -> list[bytes]:
        """Return hashes of one tile."""
        values = (start, start + count) if level == 0 else (level, start, start + count)
        return [row[0] for row in db.execute(_NODES if level else _LEAVES, values)]

    node, roots, start = node_from_tiles(hashes), [], 0
    for height in reversed(range(size.bit_length())):
        if size >> height & 1:
            roots.append(node(height, start >> height))
            start += 1 << height
    return Frontier(size, roots)
