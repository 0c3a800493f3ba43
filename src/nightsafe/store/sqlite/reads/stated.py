"""Reads the group commits that the proofs of statements need."""

import sqlite3
from typing import Final

from nightsafe.store.log import proofs

_ORIGIN: Final = "SELECT origin FROM log_head"
_GROUP: Final = "SELECT size, root, digests, signer, signature FROM log_groups WHERE first = ?"


class Proofs(proofs.Proofs):
    """The proofs of statements, within one transaction.

    Args:
        db: a cursor in a transaction.
    """

    def __init__(self, db: sqlite3.Cursor) -> None:
        origin = db.execute(_ORIGIN).fetchone()[0]
        super().__init__(origin, lambda stated_in: db.execute(_GROUP, (stated_in,)).fetchone())
