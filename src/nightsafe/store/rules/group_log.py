"""Appends a transaction's entries to the audit log, and signs one checkpoint for all of them."""

from typing import Final

import msgspec

from nightsafe.errors import Code, NightsafeError
from nightsafe.merkle.statements import SignedStatements
from nightsafe.merkle.tiles import HEIGHT, MAX_ENTRY_BYTES
from nightsafe.merkle.tree import Frontier, leaf_hash
from nightsafe.sealing.identity_key import IdentityKey
from nightsafe.sealing.interfaces import NoteSigner
from nightsafe.store.changes import AuditEntry
from nightsafe.store.log.written import Subject, Written
from nightsafe.store.rules.rows import LogHead, LogRows, Place

ORIGIN_PREFIX: Final = "nightsafe/"
"""The start of a log's origin; random hex digits follow."""


class GroupLog:
    """The entries and statements of one transaction.

    Args:
        head: the head of the log, as the transaction has read it.
        signer: signs the checkpoint; None for a store that was opened without a signing key.
        key: authenticates scripts; None for a store that was opened without it.

    Attributes:
        written: what the current change has written so far.
        key: as above.

    Raises:
        NightsafeError: CANNOT_OPEN, when the newest entry is not the one that the head of the log counts. Nothing may
            be appended to such a log, because no reader could follow it any more.
    """

    def __init__(self, head: LogHead, signer: NoteSigner | None, key: IdentityKey | None) -> None:
        if head.newest != head.size:
            raise NightsafeError(
                Code.CANNOT_OPEN,
                f"the audit log has {head.size} entries by its head, but its newest entry is number {head.newest}:"
                " something else has changed the database. Look at it with nightsafe audit verify, and restore a"
                " backup",
            )
        self._signer = signer
        self.key = key
        self._origin = head.origin
        self._first = head.size
        self._frontier = Frontier.decode(head.size, head.frontier)
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

    def append(self, rows: LogRows, entry: AuditEntry) -> None:
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
        rows.add_entry(self._first + len(self._leaves), entry.account_id, data, leaf)

    def finish(self, rows: LogRows) -> None:
        """Sign the checkpoint after all changes, and write the head. Without entries, write nothing."""
        if not self._leaves or self._signer is None:
            return
        for leaf in self._leaves:
            self._frontier.append(leaf)
            keep_nodes(rows, self._frontier)
        size, root = self._frontier.size, self._frontier.root()
        signed = SignedStatements.sign(
            self._origin, size, root, self._digests, self._signer.id, self._signer.sign_message
        )
        if self._digests:
            rows.add_group(self._first, size, root, signed.digests, (signed.signer_id, signed.signature))
        rows.advance_log(size, self._frontier.encode(), signed.note(self._signer.public))


def with_written(entry: bytes, written: Written) -> bytes:
    """Return an entry with the digests of what its change wrote.

    The member `written` sorts after all others, so the entry stays canonical JSON (RFC 8785).
    """
    member = msgspec.json.encode(written)
    return entry if member == b"{}" else b'%b,"written":%b}' % (entry[:-1], member)


def keep_nodes(rows: LogRows, frontier: Frontier) -> None:
    """Keep the roots of the full tiles that the last leaf of a tree has completed, at every level."""
    for level, root in enumerate(frontier.completed[HEIGHT::HEIGHT], start=1):
        rows.add_node(level, (frontier.size >> (level * HEIGHT)) - 1, root)
