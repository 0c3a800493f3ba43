"""An export as CSV, for people. It has no proofs, so that it cannot be verified."""

import csv
import io
import sqlite3
from collections.abc import Iterator
from typing import Final

import msgspec

from nightsafe.audit.entry import AuditEvent
from nightsafe.audit.facts import facts_of
from nightsafe.audit.verification.log_check import Report, intact_entries, read_head
from nightsafe.errors import Code, NightsafeError

COLUMNS: Final = (
    "index",
    "time",
    "account",
    "actor",
    "actor_kind",
    "email",
    "address",
    "action",
    "result",
    "permission",
    "script",
    "resource",
    "set",
    "dropped",
    "version",
    "repeated",
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""The first characters with which a spreadsheet takes a cell for a formula."""

_decoder = msgspec.json.Decoder(AuditEvent)


def csv_lines(db: sqlite3.Connection, report: Report) -> Iterator[bytes]:
    """Yield the lines of an export, each with its newline.

    Args:
        db: the database, in a read transaction.
        report: receives the number of exported entries.

    Raises:
        NightsafeError: STORE, when an entry is not one that this program writes.
    """
    yield _line(COLUMNS)
    for index, data, _ in intact_entries(db, report, read_head(db).archived):
        try:
            event = _decoder.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise NightsafeError(
                Code.STORE, f"entry {index} is not one that this program writes: run `nightsafe audit verify`"
            ) from None
        yield _line((str(index), *(_cell(value) for value in _values(event))))


def _values(event: AuditEvent) -> tuple[str, ...]:
    """Return the cells of an entry after its index."""
    script = f"{event.namespace}/{event.script}" if event.namespace else event.script
    who = (event.actor, event.actor_kind, event.email, event.address)
    names = (" ".join(event.set), " ".join(event.dropped))
    return (
        event.time,
        event.account_id,
        *who,
        event.action,
        facts_of(event).action_result,
        event.permission,
        script,
        event.resource,
        *names,
        event.version_id,
        str(event.repeated or ""),
    )


def _cell(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula, and no terminal for a command."""
    cell = "".join(letter if letter.isprintable() or letter == "\t" else "?" for letter in cell)
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _line(cells: tuple[str, ...]) -> bytes:
    """Return a line of CSV (RFC 4180)."""
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue().encode()
