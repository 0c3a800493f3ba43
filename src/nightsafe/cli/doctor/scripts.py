"""Checks the scripts in the database: that no code is missing, and that their bindings are what Nightsafe wrote.

The put of a secret checks only the binding that it replaces. A change of another one shows here, and delivery refuses
the script.
"""

from collections.abc import Iterator
from typing import Any, Final

from nightsafe.audit.verification.row_check import missing_contents
from nightsafe.bundle.statements import binding_digest
from nightsafe.cli.doctor.examination import Examination, Finding, State

_MOST_FINDINGS: Final = 20
_BINDINGS: Final = (
    "SELECT account_id, script, name, kind, shown, since, digest FROM bindings WHERE digest IS NOT NULL"
)


def code(safe: Examination) -> Iterator[Finding]:
    """Check that every file of every script has its contents, without reading them."""
    with safe.current_database() as db:
        if db is None:
            return
        missing = missing_contents(db, _MOST_FINDINGS)
    for found in missing:
        yield Finding(State.FAILED, "code", found, "upload the same code again, or restore a backup")
    if not missing:
        yield Finding(State.OK, "code", "every file has its contents")


def bindings(safe: Examination) -> Iterator[Finding]:
    """Compare the public parts of every current binding with the digest that versions are stated with."""
    with safe.current_database() as db:
        if db is None:
            return
        changed = [row for row in db.execute(_BINDINGS) if not _is_own(*row[2:])]
        count = db.execute("SELECT count(*) FROM bindings").fetchone()[0]
    for account_id, script, name, *_ in changed[:_MOST_FINDINGS]:
        found = (
            f"something else has changed the binding {name!r} of the script {script!r} of the account {account_id}:"
            " delivery refuses the script"
        )
        yield Finding(State.FAILED, "bindings", found, "run: nightsafe audit verify; and restore a backup")
    if not changed:
        yield Finding(State.OK, "bindings", f"{count} are as they were written")


def _is_own(name: Any, kind: Any, shown: Any, since: Any, digest: Any) -> bool:
    """Return whether the columns of a row fit its digest. A column may have any type."""
    try:
        return bool(binding_digest(name, kind, shown, since) == digest)
    except (AttributeError, TypeError, OverflowError):
        return False
