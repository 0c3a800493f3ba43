"""An export as JSON lines: the newest checkpoint first, then each entry with the proof that the log has it.

The first line is `{"format": …, "checkpoint": …}`. The others are
`{"index": …, "leaf": …, "entry": …, "proof": […]}`.
Hashes are in Base64. The bytes of `entry` are those that the leaf hash covers.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final, Literal

import msgspec
from msgspec import Struct

from nightsafe.audit.verification.difference import CHANGED, CUT, KEYS, DifferenceError
from nightsafe.audit.verification.log_check import Report, open_note, read_entries, read_head, refuse_other_log
from nightsafe.audit.verification.logged_entry import read_entry
from nightsafe.errors import Code, NightsafeError
from nightsafe.merkle.checkpoint import Checkpoint
from nightsafe.merkle.proofs import inclusion_proof, root_from_inclusion
from nightsafe.merkle.tiles import node_from_tiles
from nightsafe.merkle.tree import Frontier, leaf_hash
from nightsafe.sealing.verify_keys import VerifyKeys

MAX_LINE: Final = 1 << 18
"""The maximum size of a line in bytes. An entry has at most 64 KiB, and a proof at most 63 hashes."""

_LEAVES: Final = "SELECT leaf FROM audit WHERE seq > ? AND seq <= ? ORDER BY seq"
_NODES: Final = "SELECT hash FROM log_nodes WHERE level = ? AND number >= ? AND number < ? ORDER BY number"


class _Head(Struct, forbid_unknown_fields=True):
    """The first line."""

    format: Literal["nightsafe-audit-export/1"]
    checkpoint: str


class _Line(Struct, forbid_unknown_fields=True):
    """The line of an entry."""

    index: int
    leaf: bytes
    entry: msgspec.Raw
    proof: list[bytes]


_head_decoder = msgspec.json.Decoder(_Head)
_line_decoder = msgspec.json.Decoder(_Line)


def json_lines(db: sqlite3.Connection, report: Report) -> Iterator[bytes]:
    """Yield the lines of an export, each with its newline.

    Args:
        db: the database, in a read transaction.
        report: receives the number of exported entries.

    Raises:
        NightsafeError: STORE, when the log has no checkpoint yet, or lacks a hash.
    """
    head = read_head(db)
    if not head.checkpoint:
        raise NightsafeError(Code.STORE, "the log has no checkpoint yet: the next change makes one")
    yield _encode(_Head("nightsafe-audit-export/1", head.checkpoint.decode()))

    def hashes(level: int, start: int, count: int) -> list[bytes]:
        """Return hashes of one tile."""
        values = (start, start + count) if level == 0 else (level, start, start + count)
        found = [row[0] for row in db.execute(_NODES if level else _LEAVES, values)]
        if len(found) != count:
            raise NightsafeError(Code.STORE, "the log lacks hashes: run `nightsafe audit verify`")
        return found

    node = lru_cache(maxsize=4096)(node_from_tiles(hashes))
    for index, _, entry, leaf in read_entries(db, report):
        yield _encode(_Line(index, leaf, msgspec.Raw(entry), inclusion_proof(index, head.size, node)))


def verify_json_lines(
    lines: Iterable[bytes], keys: VerifyKeys, known: Checkpoint | None, report: Report
) -> Checkpoint:
    """Verify an export, and return its checkpoint.

    Args:
        lines: the lines of the export.
        keys: the public keys that verify the log's signatures.
        known: an earlier checkpoint that the log must continue, or None.
        report: receives the number of checked entries.

    Raises:
        DifferenceError: the first difference.
        NightsafeError: INVALID, when the lines are not an export.
    """
    rows = iter(lines)
    checkpoint = _open_head(next(rows, b""), keys)
    refuse_other_log(checkpoint.origin, checkpoint.size, known)
    frontier = Frontier()
    for line in rows:
        frontier.append(_check_line(line, frontier.size, checkpoint))
        if known is not None and frontier.size == known.size and frontier.root() != known.root:
            raise DifferenceError(f"the first {known.size} entries are not those of your checkpoint", CUT)
        report(1)
    if frontier.size < checkpoint.size:
        raise DifferenceError(
            f"the export ends before entry {frontier.size}, and its checkpoint covers {checkpoint.size} entries",
            "export the log again",
            entry=frontier.size,
        )
    return checkpoint


def _open_head(line: bytes, keys: VerifyKeys) -> Checkpoint:
    """Return the checkpoint of the first line."""
    try:
        head = _head_decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise NightsafeError(
            Code.INVALID, "this is not an export of an audit log: its first line has no checkpoint"
        ) from None
    return open_note(head.checkpoint.encode(), keys)


def _check_line(line: bytes, index: int, checkpoint: Checkpoint) -> bytes:
    """Check the line of an entry, and return its leaf hash."""
    try:
        row = _line_decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise DifferenceError(f"line {index + 2} of the export is not an entry", "export the log again") from None
    if row.index != index:
        raise DifferenceError(f"entry {index} is missing in the export", CHANGED, entry=index)
    entry = bytes(row.entry)
    if leaf_hash(entry) != row.leaf:
        raise DifferenceError(f"the text of entry {index} is not what its leaf hash says", CHANGED, entry=index)
    read_entry(index, entry)
    if root_from_inclusion(index, checkpoint.size, row.leaf, row.proof) != checkpoint.root:
        raise DifferenceError(f"the proof of entry {index} does not lead to the checkpoint", KEYS, entry=index)
    return row.leaf


def _encode(line: Struct) -> bytes:
    """Encode a line."""
    return msgspec.json.encode(line) + b"\n"
