"""Recognises a file that was given in the place of another one."""

from pathlib import Path
from typing import Final

from nightsafe.audit.exports.csv_table import COLUMNS
from nightsafe.cli.safe.archive import STREAM
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.errors import NightsafeError
from nightsafe.merkle.checkpoint import read_note

BACKUP: Final = "a backup"
CHECKPOINT: Final = "a checkpoint"
EXPORT: Final = "an export"
_CSV: Final = "an export as CSV"
_DATABASE: Final = "a database"
_KEYS: Final = "a file of verification keys"
_WAYS_OUT: Final = {
    BACKUP: "give it with --backup",
    CHECKPOINT: "give it with --from",
    EXPORT: "give it without an option: nightsafe audit verify EXPORT",
    _CSV: "it has no proofs, so export the log with --format jsonl",
    _DATABASE: "give its data directory with --data",
    _KEYS: "give it with --verify-keys",
}
_TAR_MAGIC: Final = slice(257, 262)


def refuse_other(path: Path, head: bytes, wanted: str) -> None:
    """Refuse a file that is something else than the user was asked for.

    Args:
        path: the file, for the message.
        head: its first bytes, at least 512 if it has so many.
        wanted: what the user was asked for.

    Raises:
        CommandError: if it is another file of Nightsafe's.
    """
    given = _recognise(head)
    if given is not None and given != wanted:
        name = "standard input" if path == STREAM else path
        raise CommandError(f"{name} is {given}, and {wanted} is needed here; {_WAYS_OUT[given]}")


def _recognise(head: bytes) -> str | None:
    """Return what a file with these first bytes is; None if it is none of Nightsafe's."""
    signs = {
        BACKUP: head[_TAR_MAGIC] == b"ustar",
        _DATABASE: head.startswith(b"SQLite format 3\0"),
        EXPORT: head.startswith(b'{"format":"nightsafe-audit-export/'),
        _CSV: head.startswith(",".join(COLUMNS).encode()),
        _KEYS: b'"nightsafe-verify-keys/' in head,
        CHECKPOINT: _is_note(head),
    }
    return next((kind for kind, fits in signs.items() if fits), None)


def _is_note(head: bytes) -> bool:
    """Return whether bytes begin with a checkpoint."""
    try:
        read_note(head)
    except NightsafeError:
        return False
    return True
