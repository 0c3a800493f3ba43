"""Compares the database with the audit log, as `nightsafe audit verify` does."""

import sqlite3
from collections.abc import Iterator
from typing import Final

from nightsafe.audit.verification.difference import DifferenceError, counted
from nightsafe.audit.verification.log_check import read_head
from nightsafe.audit.verification.mac_check import check_macs
from nightsafe.audit.verification.quick_check import NEWEST, check_quickly
from nightsafe.audit.verification.row_check import check_orphans
from nightsafe.audit.verification.value_check import unstated_values
from nightsafe.cli.audit.database_source import read_log
from nightsafe.cli.audit.database_verification import context_of, describe, verify_with_progress
from nightsafe.cli.doctor.examination import Examination, Finding, State
from nightsafe.sealing.identity_key import IdentityKey
from nightsafe.sealing.verify_keys import VerifyKeys

_WHAT = "audit log"
_MOST_VALUES: Final = 20
_PUT_AGAIN: Final = "put the value again, or restore a backup; see nightsafe audit verify"


def audit_log(safe: Examination) -> Iterator[Finding]:
    """Compare the whole database with the log; in a quick examination, check the newest part of the log by itself."""
    with safe.current_database() as db:
        if db is None:
            return
        keys = VerifyKeys.load(safe.directory.verify_keys)
        try:
            found = _verify(safe, keys) if safe.thorough else _check_newest(db, keys)
        except DifferenceError as difference:
            yield Finding(State.FAILED, _WHAT, difference.what, difference.advice)
            return
        if not read_head(db).checkpoint:
            found += "; not signed yet: the next change signs the log"
    yield Finding(State.OK, _WHAT, found)


def _verify(safe: Examination, keys: VerifyKeys) -> str:
    """Do what `nightsafe audit verify` does, and return the result in words."""
    with read_log(safe.database, "verification") as database:
        verified = verify_with_progress(database, keys)
        if safe.directory.identity_key.exists():
            check_macs(database.db, IdentityKey.load(safe.directory.identity_key))
    return describe(verified)


def _check_newest(db: sqlite3.Connection, keys: VerifyKeys) -> str:
    """Check the newest part of the log, and return the result in words."""
    db.execute("BEGIN")
    size = check_quickly(db, keys)
    check_orphans(db)
    archived = read_head(db).archived
    words = f"{counted(size, 'entry')}{f' ({archived} archived)' if archived else ''}"
    return (
        f"{words}; the newest {min(size, NEWEST)} are as they were signed. Older entries were not checked, and"
        " values, files, versions and tokens were not compared with the log: leave out --quick"
    )


def older_values(safe: Examination) -> Iterator[Finding]:
    """Check that every value without a statement was signed by itself, as values were before the log."""
    with safe.current_database() as db:
        if db is None:
            return
        keys = VerifyKeys.load(safe.directory.verify_keys)
        values = [*unstated_values(db, keys, context_of)]
    refused = [words.rstrip(",") for words, is_signed in values if not is_signed]
    for words in refused[:_MOST_VALUES]:
        found = f"no key of the safe has signed {words}"
        yield Finding(State.FAILED, "older values", found, f"delivery does not open it: {_PUT_AGAIN}")
    if len(refused) > _MOST_VALUES:
        found = f"no key has signed {len(refused) - _MOST_VALUES} more values"
        yield Finding(State.FAILED, "older values", found, "see all of them: nightsafe migrate --status --json")
    if len(values) > len(refused):
        found = f"{len(values) - len(refused)} are older than the log"
        yield Finding(State.WARNING, "older values", found, "state them: nightsafe migrate")
    if not values:
        yield Finding(State.OK, "older values", "every value is in the log")
