"""The verification of an open database with a progress bar, and its result in words."""

from nightsafe.audit.verification.database_check import Verified, steps_of, verify_database
from nightsafe.audit.verification.difference import counted
from nightsafe.audit.verification.log_check import ArchivedTexts
from nightsafe.cli.audit.database_source import LogDatabase
from nightsafe.cli.terminal.progress import byte_bar
from nightsafe.merkle.checkpoint import Checkpoint
from nightsafe.sealing.context import Context
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.services.key_rotation.resealing import location_of_value
from nightsafe.store.sealed_values import StoredValue


def verify_with_progress(
    database: LogDatabase, keys: VerifyKeys, known: Checkpoint | None = None, archives: ArchivedTexts | None = None
) -> Verified:
    """Verify a database, and show the progress on a terminal.

    Args:
        database: the open database.
        keys: the public keys that verify signatures.
        known: an earlier checkpoint that the log must continue, or None.
        archives: the texts of the archived entries, or None.

    Raises:
        DifferenceError: the first difference.
        CommandError: if the verification would make the server refuse writes.
    """
    with byte_bar(steps_of(database.db), "Verifying") as report:
        return verify_database(database.db, keys, known, context_of, database.watch(report), archives)


def context_of(value: StoredValue) -> Context:
    """Return the context that the signature on a value covers."""
    return location_of_value(value).signed


def describe(verified: Verified) -> str:
    """Return the result in words."""
    numbers = {"entry": verified.entries, "version": verified.versions, "value": verified.records}
    counts = ", ".join(counted(number, one) for one, number in numbers.items())
    older = (
        f"; {counted(verified.older, 'row')} from before the log, which does not cover them" if verified.older else ""
    )
    archived = f"; {verified.archived} of the entries are archived" if verified.archived else ""
    if verified.unread:
        archived += (
            " and were checked by their hashes only. Give `audit verify` the archives with --archive: without them,"
            f" {verified.uncompared} rows were not compared with the log, nor rows that are missing"
        )
    return f"{counts}: all as the log says{older}{archived}"
