"""Appends a transaction's entries to the audit log, and signs one checkpoint for all of them."""

import os
import sqlite3
from typing import Final, NamedTuple

import msgspec

from nightsafe.errors import Code, NightsafeError
from nightsafe.merkle.statements import SignedStatements
from nightsafe.merkle.tiles import HEIGHT, MAX_ENTRY_BYTES
from nightsafe.merkle.tree import Frontier, leaf_hash
from nightsafe.sealing.identity_key import IdentityKey
from nightsafe.sealing.interfaces import NoteSigner
from nightsafe.store.changes import AuditEntry
from nightsafe.store.log.written import Subject, Written

_HEAD: Final = "SELECT origin, size, frontier, (SELECT coalesce(max(seq), 0) FROM audit) FROM log_head"
_ENTRY: Final = "INSERT INTO audit (seq, account_id, entry, leaf) VALUES (?, ?, ?, ?)"
_NODE: Final = "INSERT INTO log_nodes (level, number, hash) VALUES (?, ?, ?)"
_GROUP: Final = (
    "INSERT INTO log_groups (first, size, root, digests, signer, signature) VALUES (?, ?, ?, ?, ?, ?)"  # one row
)
_ADVANCE: Final = "UPDATE log_head SET size = ?, frontier = ?, checkpoint = ?"
_START: Final = "INSERT INTO log_head (id, origin, size, frontier, checkpoint) VALUES (1, ?, ?, ?, x'')"
_LEAVES: Final = "SELECT leaf FROM audit ORDER BY seq"
_ORIGIN: Final = "nightsafe/"


class Place(NamedTuple):
    """The place of a statement: its group commit, and its position there."""

    stated_in: int
    position: int


class GroupLog:
    """The entries and statements of one transaction.

    Args:
        db: a cursor in the transaction.
        signer: signs the checkpoint; None for a store that was opened without a signing key.
        key: authenticates scripts; None for a store that was opened without it.

    Attributes:
        written: what the current change has written so far.
        key: as above.

    Raises:
        NightsafeError: CANNOT_OPEN, when the newest entry is not the one that the head of the log counts. Nothing may
            be appended to such a log, because no reader could follow it any more.
    """

    def __init__(self, db: sqlite3.Cursor, signer: NoteSigner | None, key: IdentityKey | None) -> None:
        origin, size, frontier, newest = db.execute(_HEAD).fetchone()
        if newest != size:
            raise NightsafeError(
                Code.CANNOT_OPEN,
                f"the audit log has {size} entries by its head, but its newest entry is number {newest}:"
                " something else has changed the database. Look at it with nightsafe audit verify, and restore a"
                " backup",
            )
        self._signer = signer
        self.key = key
        self._origin: str = origin
        self._first: int = size
        self._frontier = Frontier.decode(size, frontier)
        self._leaves: list[bytes] = []
        self._digests: list[bytes] = []
        self._begun = (0, 0)
        self.written = Written()

    @property
    def states_older_rows(self) -> bool:
        """Whether rows that are older than the log may be stated as they are.

        If they always could be, an attacker with write access to the database could pass changed rows off as older.
        """
        return self.key is None or self.key.states_older_rows

    def begin_change(self) -> None:
        """Begin another change, which `undo_change` may undo."""
        self._begun = (len(self._leaves), len(self._digests))
        self.written = Written()

    def undo_change(self) -> None:
        """Forget everything since `begin_change`, because the database has rolled it back."""
        entries, statements = self._begun
        del self._leaves[entries:], self._digests[statements:]

    def state(self, subject: Subject, digest: bytes, at: str) -> Place:
        """Add a statement; return its place in the log for the row that it is about.

        Args:
            subject: the statement's subject.
            digest: the statement.
            at: the place of what it is about, as `store/log/written.py` defines.
        """
        self.written.statements.append((subject, digest, at))
        self._digests.append(digest)
        return Place(self._first, len(self._digests) - 1)

    def append(self, db: sqlite3.Cursor, entry: AuditEntry) -> None:
        """Append the entry of the current change, with the digests of what it wrote.

        Raises:
            NightsafeError: STORE, when the store was opened without a signing key; INVALID, when the entry is too
                large for the log.
        """
        if self._signer is None:
            raise NightsafeError(Code.STORE, "the store was opened without the signing key: it can only be read")
        data = with_written(entry.entry, self.written)
        if len(data) > MAX_ENTRY_BYTES:
            raise NightsafeError(
                Code.INVALID,
                f"the request names too much for one entry of the audit log, which has at most {MAX_ENTRY_BYTES}"
                " bytes: send it in parts",
            )
        leaf = leaf_hash(data)
        self._leaves.append(leaf)
        db.execute(_ENTRY, (self._first + len(self._leaves), entry.account_id, data, leaf))

    def finish(self, db: sqlite3.Cursor) -> None:
        """Sign the checkpoint after all changes, and write the head. Without entries, write nothing."""
        if not self._leaves or self._signer is None:
            return
        for leaf in self._leaves:
            self._frontier.append(leaf)
            _keep_nodes(db, self._frontier)
        size, root = self._frontier.size, self._frontier.root()
        signed = SignedStatements.sign(
            self._origin, size, root, self._digests, self._signer.id, self._signer.sign_message
        )
        if self._digests:
            db.execute(_GROUP, (self._first, size, root, signed.digests, signed.signer_id, signed.signature))
        db.execute(_ADVANCE, (size, self._frontier.encode(), signed.note(self._signer.public)))


def start_log(db: sqlite3.Connection) -> None:
    """Give a database its log's head, in a transaction of the caller. The tree has the entries there are.

    A database that has a head stays as it is.
    """
    if db.execute(_HEAD).fetchone() is not None:
        return
    cursor, frontier = db.cursor(), Frontier()
    for (leaf,) in db.execute(_LEAVES):
        frontier.append(leaf)
        _keep_nodes(cursor, frontier)
    db.execute(_START, (_ORIGIN + os.urandom(16).hex(), frontier.size, frontier.encode()))


def with_written(entry: bytes, written: Written) -> bytes:
    """Return an entry with the digests of what its change wrote.

    The member `written` sorts after all others, so the entry stays canonical JSON (RFC 8785).
    """
    member = msgspec.json.encode(written)
    return entry if member == b"{}" else b'%b,"written":%b}' % (entry[:-1], member)


def _keep_nodes(db: sqlite3.Cursor, frontier: Frontier) -> None:
    """Keep the roots of the full tiles that the last leaf of a tree has completed, at every level."""
    for level, root in enumerate(frontier.completed[HEIGHT::HEIGHT], start=1):
        db.execute(_NODE, (level, (frontier.size >> (level * HEIGHT)) - 1, root))
