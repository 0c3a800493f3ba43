"""Finds the entries that may be archived next."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from nightsafe.audit.sinks.position import Mark
from nightsafe.audit.verification.log_check import Report, read_entries, read_head
from nightsafe.errors import Code, NightsafeError
from nightsafe.store.changes import ArchivedEntries

MOST_ENTRIES: Final = 4096
"""The most entries that one transaction empties: some ten milliseconds. A group commit has fewer."""

_LAST_GROUP: Final = "SELECT first, size FROM log_groups WHERE first < ? ORDER BY first DESC LIMIT 1"
_LEAF: Final = "SELECT leaf FROM audit WHERE seq = ?"


class _Time(Struct):
    """The time of an entry."""

    at: int


_TIME: Final = msgspec.json.Decoder(_Time)


class Held(NamedTuple):
    """Old entries that a sink has not received.

    Attributes:
        first: the index of the first of them.
        position: the file of the sink's position.
    """

    first: int
    position: Path


def old_entries(db: sqlite3.Connection, before: int, now: int, report: Report) -> ArchivedEntries:
    """Return the next entries that are older than a time, as many as one archive takes; maybe none.

    They end at the first younger entry. An entry with a time to come, from a clock that was wrong, does not count as
    younger. A group commit is archived as a whole, because its signature covers all its statements.

    Args:
        db: the database, in a read transaction.
        before: the time that the entries must be older than, in microseconds.
        now: the time now, in microseconds.
        report: called while entries are read.

    Raises:
        NightsafeError: STORE, when an entry cannot be read.
    """
    first = end = read_head(db).archived
    for index, _, data, _ in read_entries(db, report, first, first + MOST_ENTRIES):
        try:
            at = _TIME.decode(data).at
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise NightsafeError(
                Code.STORE, f"entry {index} is not one that this program writes: run `nightsafe audit verify`"
            ) from None
        if at < before:
            end = index + 1
        elif at <= now:
            break
    return ArchivedEntries(first, _whole_groups(db, end))


def shipped_entries(
    db: sqlite3.Connection, entries: ArchivedEntries, marks: Mapping[Path, Mark]
) -> tuple[ArchivedEntries, Held | None]:
    """Return those of some entries that every sink has received; and what is held back for a sink.

    Args:
        db: the database, in a read transaction.
        entries: the entries.
        marks: the position of each sink, by its file.
    """
    held = None
    for path, mark in marks.items():
        row = db.execute(_LEAF, (mark.seq,)).fetchone()
        received = mark.seq if row is not None and row[0].hex() == mark.leaf else 0
        if max(received, entries.first) < entries.end:
            held = Held(max(received, entries.first), path)
            entries = ArchivedEntries(entries.first, max(entries.first, _whole_groups(db, received)))
    return entries, held


def _whole_groups(db: sqlite3.Connection, end: int) -> int:
    """Return an end without the beginning of a group commit before it."""
    first, size = db.execute(_LAST_GROUP, (end,)).fetchone() or (end, end)
    return int(first) if size > end else end
