"""Checks the log by itself: its entries, its tree, its checkpoint, and the signatures of its group commits."""

import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, NamedTuple, Protocol

from nightsafe.audit.verification.difference import CUT, KEYS, RETIRED, DifferenceError, counted
from nightsafe.audit.verification.logged_entry import LoggedEntry, read_entry
from nightsafe.audit.verification.named_state import NamedState
from nightsafe.errors import Code, NightsafeError
from nightsafe.merkle.checkpoint import Checkpoint, statements_line
from nightsafe.merkle.statements import statements_root
from nightsafe.merkle.tiles import HEIGHT
from nightsafe.merkle.tree import HASH_SIZE, Frontier, leaf_hash
from nightsafe.sealing.verify_keys import VerifyKeys

Report = Callable[[int], None]
"""Takes the number of rows that were checked since its last call."""

SLICE: Final = 1000
"""The number of rows that are read at a time."""

_HEAD: Final = "SELECT origin, size, frontier, checkpoint, archived FROM log_head"
_ENTRIES: Final = """
SELECT seq, account_id, entry, leaf FROM audit WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?
"""
_GROUPS: Final = "SELECT first, size, root, digests, signer, signature FROM log_groups ORDER BY first"
_SIGNED: Final = "SELECT substr(digests, ? + 1, ?) FROM log_groups WHERE first = ?"
_NODE: Final = "SELECT hash FROM log_nodes WHERE level = ? AND number = ?"
_NODES: Final = "SELECT count(*) FROM log_nodes"
_LAST: Final = 1 << 62


class Head(NamedTuple):
    """The row of the log's head."""

    origin: str
    size: int
    frontier: bytes
    checkpoint: bytes
    archived: int


class ArchivedTexts(Protocol):
    """The texts of archived entries."""

    def text(self, index: int, leaf: bytes) -> bytes:
        """Return the text of an entry. The calls have growing indexes.

        Raises:
            DifferenceError: when no archive has the entry with this leaf hash.
        """
        ...


class Group(NamedTuple):
    """The row of a group commit."""

    first: int
    size: int
    root: bytes
    digests: bytes
    signer: str
    signature: bytes

    def check_signature(self, origin: str, keys: VerifyKeys) -> None:
        """Check that a given key has signed the checkpoint of the group commit.

        Raises:
            DifferenceError: when none has.
        """
        digests = [self.digests[at : at + HASH_SIZE] for at in range(0, len(self.digests), HASH_SIZE)]
        line = statements_line(len(digests), statements_root(digests))
        text = Checkpoint(origin, self.size, self.root, (line,)).text()
        if not keys.verify_checkpoint(self.signer, self.size, text, self.signature):
            late = keys.why_too_late(self.signer, self.size)
            if late:
                raise DifferenceError(late, RETIRED, entry=self.size - 1)
            entries = f"the entries {self.first} to {self.size - 1} of the log"
            raise DifferenceError(f"no given key has signed the statements of {entries}", KEYS, entry=self.size - 1)


_NO_GROUP: Final = Group(_LAST, _LAST, b"", b"", "", b"")


def read_head(db: sqlite3.Connection) -> Head:
    """Return the log's head.

    Raises:
        DifferenceError: when the log has no head.
    """
    row = db.execute(_HEAD).fetchone()
    if row is None:
        raise DifferenceError("the log's head is missing")
    return Head(*row)


def check_log(  # noqa: PLR0913, PLR0917 - what a verification needs
    db: sqlite3.Connection,
    keys: VerifyKeys,
    state: NamedState,
    known: Checkpoint | None,
    report: Report,
    archives: ArchivedTexts | None,
) -> Head:
    """Check the whole log, and collect the state that it describes.

    Args:
        db: the database, in a read transaction.
        keys: the public keys that verify the log's signatures.
        state: receives the entries.
        known: an earlier checkpoint, whose signature was checked; the log must continue it.
        report: receives the progress.
        archives: the texts of the archived entries; without them, these entries are checked by their hashes only.

    Returns:
        The log's head.

    Raises:
        DifferenceError: the first difference.
    """
    head = read_head(db)
    refuse_other_log(head.origin, head.size, known)
    if head.archived and archives is None:
        state.begin_unread(head.archived, partial(_signed_digest, db))
    walk = _Walk(db, head, keys, state, archives)
    for index, account_id, entry, leaf in read_entries(db, report):
        walk.add(index, account_id, entry, leaf)
        if known is not None and walk.frontier.size == known.size and walk.frontier.root() != known.root:
            raise DifferenceError(f"the first {known.size} entries are not those of your checkpoint", CUT)
    walk.finish()
    if db.execute(_NODES).fetchone()[0] != walk.nodes:
        raise DifferenceError("the hashes of the log's tiles have rows that do not belong to the log")
    check_head(head, walk.frontier, keys, is_signed=walk.has_written)
    return head


def refuse_other_log(origin: str, size: int, known: Checkpoint | None, if_older: str = CUT) -> None:
    """Refuse a log that cannot continue an earlier checkpoint, because it is another log or a shorter one.

    `if_older` is the advice for a shorter log.

    Raises:
        DifferenceError: when the log does not continue the checkpoint.
    """
    if known is None:
        return
    if known.origin != origin:
        raise DifferenceError(f"the log is {origin!r}, and your checkpoint is of {known.origin!r}", CUT)
    if known.size > size:
        raise DifferenceError(
            f"the log has {counted(size, 'entry')}, and your checkpoint has {known.size}: the checkpoint is newer",
            if_older,
        )


def check_head(head: Head, frontier: Frontier, keys: VerifyKeys, *, is_signed: bool) -> None:
    """Compare the log's head and its checkpoint with the tree of the entries.

    Raises:
        DifferenceError: when they differ.
    """
    if head.size != frontier.size:
        raise DifferenceError(
            f"the log's head says that the log has {counted(head.size, 'entry')}, and the database has"
            f" {frontier.size}"
        )
    if head.frontier != frontier.encode():
        raise DifferenceError("the tree of the log's head is not the tree of the entries")
    if head.checkpoint or is_signed:
        checkpoint = open_note(head.checkpoint, keys)
        if (checkpoint.origin, checkpoint.size) != (head.origin, head.size):
            raise DifferenceError("the log's checkpoint is of another log or of another size than its head")
        if checkpoint.root != frontier.root():
            raise DifferenceError("the root of the log's checkpoint is not the root of the entries")


def open_note(note: bytes, keys: VerifyKeys) -> Checkpoint:
    """Return the checkpoint of a note.

    Raises:
        DifferenceError: when no given key has signed it.
    """
    try:
        return keys.open_checkpoint(note)
    except NightsafeError as error:
        raise DifferenceError(f"the log's checkpoint: {error.problems[0].detail}", KEYS) from None


def check_row(index: int, expected: int, account_id: str, data: bytes, leaf: bytes) -> LoggedEntry:
    """Check one entry, and return it.

    Args:
        index: the entry's index.
        expected: the index that it must have.
        account_id: the account that it is listed under.
        data: its text.
        leaf: its leaf hash.

    Raises:
        DifferenceError: when they do not fit.
    """
    check_index(index, expected)
    if not data:
        raise DifferenceError(
            f"the text of entry {index} of the log is missing, and the log does not say that it was archived",
            entry=index,
        )
    if leaf_hash(data) != leaf:
        raise DifferenceError(f"the text of entry {index} of the log is not what its leaf hash says", entry=index)
    entry = read_entry(index, data)
    if entry.account_id != account_id:
        raise DifferenceError(f"entry {index} of the log is listed under another account", entry=index)
    return entry


def check_index(index: int, expected: int) -> None:
    """Check that the next entry has the next index.

    Raises:
        DifferenceError: when an entry is missing.
    """
    if index != expected:
        raise DifferenceError(f"entry {expected} of the log is missing", entry=expected)


class _Walk:
    """A walk over the entries, which builds the tree and compares it with the stored hashes and the signatures.

    Attributes:
        frontier: the tree so far.
        nodes: how many full tiles there are so far, of all levels.
        has_written: whether an entry named a digest, so that there must be a checkpoint.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        head: Head,
        keys: VerifyKeys,
        state: NamedState,
        archives: ArchivedTexts | None,
    ) -> None:
        self._db = db
        self._origin = head.origin
        self._archived = head.archived
        self._archives = archives
        self._keys = keys
        self._state = state
        self._groups = (Group(*row) for row in db.execute(_GROUPS))
        self._next = next(self._groups, _NO_GROUP)
        self._digests: list[bytes] = []
        self.frontier = Frontier()
        self.nodes = 0
        self.has_written = False

    def add(self, index: int, account_id: str, data: bytes, leaf: bytes) -> None:
        """Check the next entry."""
        check_index(index, self.frontier.size)
        if index < self._archived:
            data = self._archived_text(index, data, leaf)
        entry = None
        if data or index >= self._archived:
            entry = check_row(index, self.frontier.size, account_id, data, leaf)
        self.frontier.append(leaf)
        self._check_nodes(index)
        if entry is not None:
            self._add_statements(index, entry)
        if self.frontier.size == self._next.size:
            self._check_group(index)

    def finish(self) -> None:
        """Check that no group commit is after the last entry."""
        if self._next is not _NO_GROUP:
            raise DifferenceError(
                f"the log has a signature over {counted(self._next.size, 'entry')}, and the database has"
                f" {self.frontier.size}",
                CUT,
            )

    def _archived_text(self, index: int, data: bytes, leaf: bytes) -> bytes:
        """Return the text of an archived entry, or nothing without archives."""
        if data:
            raise DifferenceError(
                f"entry {index} of the log is archived, but the database has a text of it", entry=index
            )
        return b"" if self._archives is None else self._archives.text(index, leaf)

    def _check_nodes(self, index: int) -> None:
        """Compare the roots of the tiles that the last entry has completed."""
        for level, root in enumerate(self.frontier.completed[HEIGHT::HEIGHT], start=1):
            self.nodes += 1
            number = (self.frontier.size >> (level * HEIGHT)) - 1
            row = self._db.execute(_NODE, (level, number)).fetchone()
            if row is None or row[0] != root:
                first = number << (level * HEIGHT)
                raise DifferenceError(
                    f"the hash of tile {number} at level {level}, over the entries {first} to {index}, is not theirs"
                )

    def _add_statements(self, index: int, entry: LoggedEntry) -> None:
        """Collect the statements of an entry, and apply the entry to the state."""
        statements = entry.written.statements if entry.written else []
        if statements and index < self._next.first:
            raise DifferenceError(f"no signature covers the statements of entry {index} of the log", entry=index)
        self.has_written = self.has_written or entry.written is not None
        self._state.add(index, entry, self._next.first, len(self._digests))
        self._digests += [digest for _, digest, _ in statements]

    def _check_group(self, index: int) -> None:
        """Check the signature of a group commit after its last entry, and begin the next group commit."""
        group, self._next = self._next, next(self._groups, _NO_GROUP)
        entries = f"the entries {group.first} to {index} of the log"
        is_unread = self._archives is None and group.size <= self._archived
        if not is_unread and group.digests != b"".join(self._digests):
            raise DifferenceError(f"the signed statements are not those that {entries} name", entry=index)
        if group.root != self.frontier.root():
            raise DifferenceError(f"the log up to entry {index} is not what was signed after {entries}", entry=index)
        group.check_signature(self._origin, self._keys)
        if self._next.first < group.size:
            raise DifferenceError(f"two signatures cover the statements of {entries}", entry=index)
        self._digests = []


def _signed_digest(db: sqlite3.Connection, first: int, position: int) -> bytes:
    """Return the digest of a signed statement, or b""."""
    row = db.execute(_SIGNED, (position * HASH_SIZE, HASH_SIZE, first)).fetchone()
    return b"" if row is None else bytes(row[0])


def intact_entries(
    db: sqlite3.Connection, report: Report, first: int, end: int = _LAST
) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield index, text and leaf hash of every entry, as `read_entries`, and refuse a changed one.

    Raises:
        NightsafeError: STORE, with the index of the first entry that is not what its leaf hash says.
    """
    for index, _, data, leaf in read_entries(db, report, first, end):
        if leaf_hash(data) != leaf:
            raise NightsafeError(
                Code.STORE, f"entry {index} is not one that this program wrote: run `nightsafe audit verify`"
            )
        yield index, data, leaf


def read_entries(
    db: sqlite3.Connection, report: Report, first: int = -_LAST, end: int = _LAST
) -> Iterator[tuple[int, str, bytes, bytes]]:
    """Yield index, account, text and leaf hash of every entry, from the index `first` on, before `end`."""
    seq, rows = first, db.execute(_ENTRIES, (first, end, SLICE)).fetchall()
    while rows:
        for seq, *rest in rows:
            yield (seq - 1, *rest)
        report(len(rows))
        rows = db.execute(_ENTRIES, (seq, end, SLICE)).fetchall()
