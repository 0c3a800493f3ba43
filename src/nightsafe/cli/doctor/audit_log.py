"""Checks the newest part of the audit log; `nightsafe audit verify` checks all of it, and the database against it."""

from collections.abc import Iterator
from typing import Final

from nightsafe.audit.verification.difference import DifferenceError
from nightsafe.audit.verification.log_check import read_head
from nightsafe.audit.verification.quick_check import check_quickly
from nightsafe.audit.verification.value_check import unstated_values
from nightsafe.cli.doctor.examination import Examination, Finding, State
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.services.key_rotation.resealing import location_of_value

_WHAT = "audit log"
_MOST_VALUES: Final = 20
_PUT_AGAIN: Final = "put the value again, or restore a backup; see nightsafe audit verify"


def audit_log(safe: Examination) -> Iterator[Finding]:
    """Check that the newest entries are what the signed checkpoint says, and the newest signatures."""
    with safe.current_database() as db:
        if db is None:
            return
        keys = VerifyKeys.load(safe.directory.verify_keys)
        db.execute("BEGIN")
        try:
            size = check_quickly(db, keys)
        except DifferenceError as difference:
            yield Finding(State.FAILED, _WHAT, difference.what, f"run: nightsafe audit verify; {difference.advice}")
            return
        head = read_head(db)
    archived = f" ({head.archived} archived)" if head.archived else ""
    signed = "signed" if head.checkpoint else "not signed yet: the next change signs the log"
    yield Finding(State.OK, _WHAT, f"{size} entries{archived}, {signed}; `nightsafe audit verify` checks all of it")


def older_values(safe: Examination) -> Iterator[Finding]:
    """Check that every value without a statement was signed by itself, as values were before the log."""
    with safe.current_database() as db:
        if db is None:
            return
        keys = VerifyKeys.load(safe.directory.verify_keys)
        values = [*unstated_values(db, keys, lambda value: location_of_value(value).signed)]
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
