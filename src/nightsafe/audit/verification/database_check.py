"""Verifies a whole database: its log, the signatures on it, and the state that the log describes."""

import sqlite3
from typing import Final

from msgspec import Struct

from nightsafe.audit.verification.column_types import check_column_types
from nightsafe.audit.verification.difference import DifferenceError, well_formed
from nightsafe.audit.verification.log_check import ArchivedTexts, Report, check_log
from nightsafe.audit.verification.logged_entry import read_entry
from nightsafe.audit.verification.named_state import NamedState
from nightsafe.audit.verification.row_check import check_contents, check_orphans, check_rows
from nightsafe.audit.verification.script_check import check_scripts
from nightsafe.audit.verification.value_check import ContextOf, ValueCheck
from nightsafe.errors import Code, NightsafeError
from nightsafe.merkle.checkpoint import Checkpoint
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.store.sqlite.engine.schema import check_own, migrations

_ENTRY: Final = "SELECT entry FROM audit WHERE seq = ?"
_COUNTED: Final = (
    "audit",
    "versions",
    "accounts",
    "users",
    "memberships",
    "tokens",
    "collections",
    "items",
    "retired_keys",
    "contents",
)
_VALUE_TABLES: Final = ("bindings", "binding_history", "items")


class Verified(Struct, frozen=True, kw_only=True):
    """What a verification has found to be as the log says.

    Attributes:
        entries: the number of the log's entries.
        versions: the number of versions.
        records: the number of sealed values.
        older: how many rows are older than the log, so that the log names no digest of them.
        archived: how many entries are archived.
        unread: how many of them were checked by their hashes only, because no archive was given.
        uncompared: how many rows could not be compared with the log, because only such an entry can name them.
    """

    entries: int
    versions: int
    records: int
    older: int
    archived: int
    unread: int
    uncompared: int


def steps_of(db: sqlite3.Connection) -> int:
    """Return how many steps `verify_database` reports."""
    counts = [f"SELECT count(*) FROM {table}" for table in _COUNTED]  # noqa: S608 - our own names
    counts += [f"SELECT count(*) FROM {table} WHERE sealed IS NOT NULL" for table in _VALUE_TABLES]  # noqa: S608
    return sum(db.execute(sql).fetchone()[0] for sql in counts)


def refuse_schema(db: sqlite3.Connection) -> None:
    """Refuse a database of another schema, or with a table, index, trigger or view that this program does not make.

    Raises:
        NightsafeError: STORE.
    """
    check_own(db)
    schema, newest = int(db.execute("PRAGMA user_version").fetchone()[0]), len(migrations())
    if schema < newest:
        raise NightsafeError(
            Code.STORE,
            f"the database has the older schema version {schema}, and this program verifies version {newest}: serve"
            " it once, which upgrades it, or use the program that wrote it",
        )


def verify_database(  # noqa: PLR0913, PLR0917 - what a verification needs
    db: sqlite3.Connection,
    keys: VerifyKeys,
    known: Checkpoint | None,
    context_of: ContextOf,
    report: Report,
    archives: ArchivedTexts | None = None,
) -> Verified:
    """Verify a database.

    Args:
        db: a connection in a read transaction.
        keys: the public keys that verify signatures.
        known: an earlier checkpoint that the log must continue, or None.
        context_of: returns the context that the signature on a value covers.
        report: receives the progress; it may raise an exception to end the verification.
        archives: the texts of the archived entries, or None.

    Raises:
        DifferenceError: the first difference.
        NightsafeError: STORE, when the database has another schema.
    """
    refuse_schema(db)
    db.text_factory = _as_text
    with well_formed("a row of the log"), NamedState() as state:
        check_column_types(db)
        head = check_log(db, keys, state, known, report, archives)
        versions = check_scripts(db, state, report)
        records = ValueCheck(state, keys, context_of, report).check(db)
        check_rows(db, state, report)
        _refuse_missing(db, state)
        check_orphans(db)
        check_contents(db, report)
        return Verified(
            entries=head.size,
            versions=versions,
            records=records,
            older=state.older,
            archived=head.archived,
            unread=state.unread,
            uncompared=state.uncompared,
        )


def _as_text(data: bytes) -> str:
    """Decode a text; bytes that are not UTF-8 become characters that no digest accepts."""
    return data.decode(errors="surrogateescape")


def _refuse_missing(db: sqlite3.Connection, state: NamedState) -> None:
    """Refuse a database without a row that the log describes."""
    missing = state.first_missing()
    if missing is None:
        return
    place, index = missing
    data = db.execute(_ENTRY, (index + 1,)).fetchone()[0]
    where = read_entry(index, data).where if data else "archived"
    raise DifferenceError(
        f"entry {index} of the log ({where}) wrote {_words(place)}, and the database no longer has it",
        entry=index,
    )


def _words(place: str) -> str:
    """Return a place in words."""
    table, owner, *rest = place.split("/")
    name = "/".join(rest)
    part, _, binding = name.partition("/")
    words = {
        "value": f"the value of {binding!r} ({part or 'without a version'})",
        "triggers": "the script's triggers",
        "settings": "the script's settings",
        "version": f"version {name}",
        "deployment": f"the deployment {name}",
        "item": f"the item {binding!r}",
        "membership": f"the membership of the user {name} in the account {owner}",
        "retired": f"the retirement of the key {owner}",
    }
    return words.get(table, f"the {table} {owner}")
