"""An export as JSON lines: the newest checkpoint first, then each entry with the proof that the log has it.

The first line is `{"format": …, "checkpoint": …}`, with `first` and `end` if the export has a part of the log.
The others are `{"index": …, "leaf": …, "entry": …, "proof": […]}`.
Hashes are in Base64. The bytes of `entry` are those that the leaf hash covers.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final, Literal

import msgspec
from msgspec import Struct

from nightsafe.audit.verification.difference import KEYS, DifferenceError
from nightsafe.audit.verification.log_check import Report, intact_entries, open_note, read_head
from nightsafe.audit.verification.logged_entry import read_entry
from nightsafe.errors import Code, NightsafeError
from nightsafe.merkle.proofs import inclusion_proof, root_from_inclusion
from nightsafe.merkle.tiles import node_from_tiles
from nightsafe.merkle.tree import leaf_hash
from nightsafe.sealing.verify_keys import VerifyKeys

MAX_LINE: Final = 1 << 18
"""The maximum size of a line in bytes. An entry has at most 64 KiB, and a proof at most 63 hashes."""

AGAIN: Final = "export the log again; if this is an archive, take it from another copy"
CHANGED_FILE: Final = (
    "the file had this entry when it was written, so lines were lost, removed or changed later: export the log again;"
    " if this is an archive, take it from another copy. If that does not verify either, somebody has changed the log:"
    " find out who could write to it"
)
_LEAVES: Final = "SELECT leaf FROM audit WHERE seq > ? AND seq <= ? ORDER BY seq"
_NODES: Final = "SELECT hash FROM log_nodes WHERE level = ? AND number >= ? AND number < ? ORDER BY number"


class _Head(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The first line. An export of a part of the log has the entries from `first` on, before `end`."""

    format: Literal["nightsafe-audit-export/1"]
    checkpoint: str
    first: int = 0
    end: int | None = None


class ExportedEntry(Struct, forbid_unknown_fields=True):
    """The line of an entry."""

    index: int
    leaf: bytes
    entry: msgspec.Raw
    proof: list[bytes]


_head_decoder = msgspec.json.Decoder(_Head)
_line_decoder = msgspec.json.Decoder(ExportedEntry)


def json_lines(db: sqlite3.Connection, report: Report, end: int | None = None) -> Iterator[bytes]:
    """Yield the lines of an export of all entries that are not archived, each with its newline.

    Args:
        db: the database, in a read transaction.
        report: receives the number of exported entries.
        end: the index of the entry that the export ends before; None for the whole log.

    Raises:
        NightsafeError: STORE, when the log has no checkpoint yet, lacks a hash, or has a changed entry.
    """
    head = read_head(db)
    if not head.checkpoint:
        raise NightsafeError(Code.STORE, "the log has no checkpoint yet: the next change makes one")
    yield _encode(_Head("nightsafe-audit-export/1", head.checkpoint.decode(), head.archived, end))

    def hashes(level: int, start: int, count: int) -> list[bytes]:
        """Return hashes of one tile."""
        values = (start, start + count) if level == 0 else (level, start, start + count)
        found = [row[0] for row in db.execute(_NODES if level else _LEAVES, values)]
        if len(found) != count:
            raise NightsafeError(Code.STORE, "the log lacks hashes: run `nightsafe audit verify`")
        return found

    node = lru_cache(maxsize=4096)(node_from_tiles(hashes))
    for index, entry, leaf in intact_entries(db, report, head.archived, head.size if end is None else end):
        yield _encode(ExportedEntry(index, leaf, msgspec.Raw(entry), inclusion_proof(index, head.size, node)))


class Export:
    """An export of the log, or of a part of it, which is read once.

    Args:
        lines: its lines.
        keys: the public keys that verify the log's signatures.
        name: the export in words, for example `the export`.

    Attributes:
        checkpoint: its checkpoint, whose signature was checked.
        first: the index of its first entry.
        end: the index after its last entry.
        name: as in the arguments.

    Raises:
        DifferenceError: when no given key has signed the checkpoint.
        NightsafeError: INVALID, when the lines are not an export.
    """

    def __init__(self, lines: Iterable[bytes], keys: VerifyKeys, name: str = "the export") -> None:
        self._rows = iter(lines)
        try:
            head = _head_decoder.decode(next(self._rows, b""))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise NightsafeError(
                Code.INVALID,
                f"{name} is not an export of an audit log: its first line has no checkpoint. If it was one, that line"
                " was lost: export the log again",
            ) from None
        self.checkpoint = open_note(head.checkpoint.encode(), keys)
        self.first = head.first
        self.end = self.checkpoint.size if head.end is None else head.end
        self.name = name
        if not 0 <= self.first <= self.end <= self.checkpoint.size:
            raise DifferenceError(f"{name} has a first line with impossible indexes of entries", AGAIN)

    def entries(self) -> Iterator[ExportedEntry]:
        """Yield each entry, with its leaf hash and its proof checked.

        Raises:
            DifferenceError: when a line was changed, or is missing.
        """
        index = self.first
        for number, line in enumerate(self._rows, start=2):
            yield self._check(number, line, index)
            index += 1
        if index < self.end:
            raise DifferenceError(
                f"{self.name} ends before entry {index}, and it should have the entries {self.first} to"
                f" {self.end - 1}",
                AGAIN,
                entry=index,
            )

    def _check(self, number: int, line: bytes, index: int) -> ExportedEntry:
        """Check the line of an entry, and return it."""
        try:
            row = _line_decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise DifferenceError(f"line {number} of {self.name} is not an entry", AGAIN) from None
        if row.index != index or index >= self.end:
            raise DifferenceError(f"entry {index} is missing in {self.name}", CHANGED_FILE, entry=index)
        entry = bytes(row.entry)
        if leaf_hash(entry) != row.leaf:
            raise DifferenceError(
                f"the text of entry {index} in {self.name} is not what its leaf hash says", CHANGED_FILE, entry=index
            )
        read_entry(index, entry)
        if root_from_inclusion(index, self.checkpoint.size, row.leaf, row.proof) != self.checkpoint.root:
            raise DifferenceError(
                f"the proof of entry {index} in {self.name} does not lead to the checkpoint", KEYS, entry=index
            )
        if line.rstrip(b"\r\n") != msgspec.json.encode(row):
            raise DifferenceError(
                f"line {number} of {self.name} has more than the members of entry {index} in their form", CHANGED_FILE
            )
        return row


def _encode(line: Struct) -> bytes:
    """Encode a line."""
    return msgspec.json.encode(line) + b"\n"
