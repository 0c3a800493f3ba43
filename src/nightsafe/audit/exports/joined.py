"""Several exports of a log as one: the archives of older entries, and an export of the rest."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from nightsafe.audit.exports.json_lines import Export, ExportedEntry
from nightsafe.audit.verification.difference import CUT, DifferenceError
from nightsafe.audit.verification.log_check import Report, refuse_other_log
from nightsafe.audit.verification.logged_entry import read_entry
from nightsafe.errors import Code, NightsafeError
from nightsafe.merkle.checkpoint import Checkpoint
from nightsafe.merkle.tree import Frontier
from nightsafe.store.log.written import ARCHIVED, archived_digest

MISSING: Final = (
    "give every file that `nightsafe audit archive` has written, with --archive; if none has this entry, somebody has"
    " removed it: keep a copy of everything, and find out who could write to it"
)
OLDER: Final = "export the log again; if a new export is no longer than this one, the log was cut"
OTHER: Final = (
    "give the archives of this log; after a restore of an older backup, those that it was archived to since"
)


def joined(exports: Iterable[Export]) -> Iterator[tuple[ExportedEntry, Export]]:
    """Yield each entry of several exports once, in the order of the log, with its export."""
    index = 0
    for export in sorted(exports, key=lambda one: one.first):
        for entry in export.entries():
            if entry.index >= index:
                index = entry.index + 1
                yield entry, export


class Archives:
    """The archives of a log: exports that have the texts of its archived entries.

    Args:
        exports: the archives.
        origin: the log's origin.

    Raises:
        DifferenceError: when an archive is of another log.
    """

    def __init__(self, exports: Sequence[Export], origin: str) -> None:
        for export in exports:
            if export.checkpoint.origin != origin:
                raise DifferenceError(
                    f"{export.name} is of the log {export.checkpoint.origin!r}, and this log is {origin!r}", OTHER
                )
        self._rest = joined(exports)
        self._next = next(self._rest, None)

    def text(self, index: int, leaf: bytes) -> bytes:
        """See `ArchivedTexts.text`."""
        while self._next is not None and self._next[0].index < index:
            self._next = next(self._rest, None)
        if self._next is None or self._next[0].index != index:
            raise DifferenceError(
                f"the text of entry {index} is neither in the database nor in the given archives",
                MISSING,
                entry=index,
            )
        entry, export = self._next
        if entry.leaf != leaf:
            raise DifferenceError(f"entry {index} in {export.name} is not that of the log", OTHER, entry=index)
        return bytes(entry.entry)

    def check_rest(self) -> None:
        """Check the entries that nothing has asked for.

        Raises:
            DifferenceError: when a line was changed, or is missing.
        """
        for _ in self._rest:
            pass


class VerifiedExports(NamedTuple):
    """The entries that verified exports have together.

    Attributes:
        first: the index of the first entry.
        end: the index after the last one.
        size: the number of entries that the newest checkpoint covers.
        archived: how many entries before `first` the log itself says to be archived.
    """

    first: int
    end: int
    size: int
    archived: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether no entry is missing, except archived ones."""
        return self.end == self.size and self.first <= self.archived


def verify_exports(exports: Sequence[Export], known: Checkpoint | None, report: Report) -> VerifiedExports:
    """Verify an export together with the archives of the entries before it.

    Args:
        exports: the export, and the archives. They must have no gap between them.
        known: an earlier checkpoint that the log must continue, or None.
        report: receives the number of checked entries.

    Raises:
        DifferenceError: the first difference.
        NightsafeError: INVALID, when the entries cannot be compared with the known checkpoint.
    """
    newest = max(exports, key=lambda one: one.checkpoint.size).checkpoint
    first = index = min(one.first for one in exports)
    refuse_other_log(newest.origin, newest.size, known, OLDER)
    if known is not None and first > 0:
        raise NightsafeError(
            Code.INVALID,
            f"the entries before entry {first} are archived, so nothing here shows that the log continues your"
            " checkpoint: give the archives, with --archive",
        )
    frontier, archived = Frontier(), 0
    for entry, export in joined(exports):
        if export.checkpoint.origin != newest.origin:
            raise DifferenceError(f"{export.name} is of another log, {export.checkpoint.origin!r}", OTHER)
        if entry.index != index:
            raise DifferenceError(f"entry {index} is in none of the given files", MISSING, entry=index)
        frontier.append(entry.leaf)
        if known is not None and frontier.size == known.size and frontier.root() != known.root:
            raise DifferenceError(f"the first {known.size} entries are not those of your checkpoint", CUT)
        if ARCHIVED.encode() in bytes(entry.entry) and archived_digest(first) in _archived_digests(entry):
            archived = first
        index += 1
        report(1)
    if known is not None and index < known.size:
        raise NightsafeError(
            Code.INVALID,
            f"the given files end before entry {index}, and your checkpoint covers {known.size} entries:"
            " give an export of the entries up to there too",
        )
    return VerifiedExports(first, index, newest.size, archived)


def _archived_digests(entry: ExportedEntry) -> list[bytes]:
    """Return the digest of the number of archived entries that an entry names, if it names one."""
    written = read_entry(entry.index, bytes(entry.entry)).written
    return [] if written is None else [digest for place, digest in written.rows if place == ARCHIVED]
