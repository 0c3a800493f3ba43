"""The rows of the log, in SQL."""

import os
import sqlite3
from typing import Final

from nightsafe.merkle.tree import Frontier
from nightsafe.store.rules.group_log import ORIGIN_PREFIX, keep_nodes
from nightsafe.store.rules.rows import LogHead

_HEAD: Final = "SELECT origin, size, frontier, (SELECT coalesce(max(seq), 0) FROM audit) FROM log_head"
_ENTRY: Final = "INSERT INTO audit (seq, account_id, entry, leaf) VALUES (?, ?, ?, ?)"
_NODE: Final = "INSERT INTO log_nodes (level, number, hash) VALUES (?, ?, ?)"
_GROUP: Final = (
    "INSERT INTO log_groups (first, size, root, digests, signer, signature) VALUES (?, ?, ?, ?, ?, ?)"  # one row
)
_ADVANCE: Final = "UPDATE log_head SET size = ?, frontier = ?, checkpoint = ?"
_START: Final = "INSERT INTO log_head (id, origin, size, frontier, checkpoint) VALUES (1, ?, ?, ?, x'')"
_LEAVES: Final = "SELECT leaf FROM audit ORDER BY seq"


class LogRows:
    """The part of `Rows` for the log."""

    def __init__(self, db: sqlite3.Cursor) -> None:
        """Take a cursor in the transaction."""
        self._db = db

    def add_entry(self, number: int, account_id: str, entry: bytes, leaf: bytes) -> None:
        """See `Rows.add_entry`."""
        self._db.execute(_ENTRY, (number, account_id, entry, leaf))

    def add_node(self, level: int, number: int, root: bytes) -> None:
        """See `Rows.add_node`."""
        self._db.execute(_NODE, (level, number, root))

    def add_group(self, first: int, size: int, root: bytes, digests: bytes, signer: tuple[str, bytes]) -> None:
        """See `Rows.add_group`."""
        self._db.execute(_GROUP, (first, size, root, digests, *signer))

    def advance_log(self, size: int, frontier: bytes, checkpoint: bytes) -> None:
        """See `Rows.advance_log`."""
        self._db.execute(_ADVANCE, (size, frontier, checkpoint))


def log_head(db: sqlite3.Cursor) -> LogHead:
    """Read the head of the log, within a transaction."""
    return LogHead(*db.execute(_HEAD).fetchone())


def start_log(db: sqlite3.Connection) -> None:
    """Give a database its log's head, in a transaction of the caller. The tree has the entries there are.

    A database that has a head stays as it is.
    """
    if db.execute(_HEAD).fetchone() is not None:
        return
    rows, frontier = LogRows(db.cursor()), Frontier()
    for (leaf,) in db.execute(_LEAVES):
        frontier.append(leaf)
        keep_nodes(rows, frontier)
    db.execute(_START, (ORIGIN_PREFIX + os.urandom(16).hex(), frontier.size, frontier.encode()))
