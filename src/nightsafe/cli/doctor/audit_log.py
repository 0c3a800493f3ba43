"""Checks the newest part of the audit log; `nightsafe audit verify` checks all of it, and the database against it."""

from collections.abc import Iterator

from nightsafe.audit.verification.difference import DifferenceError
from nightsafe.audit.verification.log_check import read_head
from nightsafe.audit.verification.quick_check import check_quickly
from nightsafe.cli.doctor.examination import Examination, Finding, State
from nightsafe.cli.safe.database_copy import newest_schema, open_read_only, schema_of
from nightsafe.sealing.verify_keys import VerifyKeys

_WHAT = "audit log"


def audit_log(safe: Examination) -> Iterator[Finding]:
    """Check that the newest entries are what the signed checkpoint says, and the newest signatures."""
    if not safe.is_there:
        return
    keys = VerifyKeys.load(safe.directory.verify_keys)
    with open_read_only(safe.directory.database) as db:
        if schema_of(db) != newest_schema():
            return
        db.execute("BEGIN")
        try:
            size = check_quickly(db, keys)
        except DifferenceError as difference:
            yield Finding(State.FAILED, _WHAT, difference.what, f"run: nightsafe audit verify; {difference.advice}")
            return
        signed = "signed" if read_head(db).checkpoint else "not signed yet: the next change signs the log"
    yield Finding(State.OK, _WHAT, f"{size} entries, {signed}; `nightsafe audit verify` checks all of it")
