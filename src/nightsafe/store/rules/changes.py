"""Applies a change to the rows of a transaction."""

import re
from typing import Final

from msgspec.structs import replace

from nightsafe.errors import AGAIN, Code, NightsafeError
from nightsafe.store.bundles import StoredApproval
from nightsafe.store.changes import ArchivedEntries, Change, Outcome
from nightsafe.store.identities import RefusedRow
from nightsafe.store.log.written import ARCHIVED, archived_digest, identity_digest, identity_place
from nightsafe.store.rules.collections import edit_collection
from nightsafe.store.rules.group_log import GroupLog
from nightsafe.store.rules.rows import Rows
from nightsafe.store.rules.scripts import edit_script
from nightsafe.store.rules.values import refuse_retired, reseal, retire, state_values

_ID: Final = re.compile("[0-9a-f]{32}")


def apply(rows: Rows, change: Change, log: GroupLog) -> Outcome:
    """Apply one change, and append its entry to the log.

    Raises:
        NightsafeError: when a precondition does not hold; the caller must undo the writes.
        Exception: an error of the engine; the caller must roll back.
    """
    if not all(rows.is_unchanged(token) for token in change.unchanged):
        raise NightsafeError(Code.UNAVAILABLE, f"the token was changed meanwhile: {AGAIN}")
    refuse_retired(rows, change)
    outcome, altered = Outcome(), not (change.edit or change.collection_edit or change.reseal or change.older)
    if change.edit is not None:
        outcome, altered = edit_script(rows, log, change.edit, change.at)
    if change.collection_edit is not None:
        collection, items, current = edit_collection(rows, log, change.collection_edit, change.at)
        outcome, altered = replace(outcome, collection=collection, items=items), altered or current
    if change.reseal:
        resealed = reseal(rows, log, change.audit.account_id, change.reseal)
        outcome, altered = replace(outcome, resealed=resealed), altered or bool(resealed)
    if change.older:
        stated = state_values(rows, log, change.audit.account_id, change.older)
        outcome, altered = replace(outcome, stated=stated), altered or stated > 0
    altered |= _keep_rows(rows, log, change)
    if not altered and not change.put and not change.drop_tokens and not change.drop_refused:
        return outcome
    _change_identities(rows, change, log)
    log.append(rows, change.audit)
    return outcome


def _change_identities(rows: Rows, change: Change, log: GroupLog) -> None:
    """Delete and write identities, and name them in the log."""
    for row in change.drop_refused:
        _drop_refused(rows, log, row)
    for identity, mac in zip(change.put, change.macs, strict=True):
        rows.put_identity(identity, mac)
        log.written.rows.append((identity_place(identity), identity_digest(identity)))
    for token_id in change.drop_tokens:
        if rows.drop_token(token_id):
            log.written.gone.append(f"token/{token_id}")


def _drop_refused(rows: Rows, log: GroupLog, row: RefusedRow) -> None:
    """Delete a row that does not count, unless it has been written again since it was read; name it in the log.

    No entry has written an id of a form that Nightsafe does not make, so the log does not name it.
    """
    ids = row.name.split(" ")
    if rows.drop_refused(row) and all(map(_ID.fullmatch, ids)):
        log.written.gone.append("/".join((row.table.removesuffix("s"), *ids)))


def _keep_rows(rows: Rows, log: GroupLog, change: Change) -> bool:
    """Keep a retirement, an approval, a ring's number and an archiving; return whether the change has any of them."""
    if change.retire is not None:
        retire(rows, log, change.retire, change.at)
    if change.approval is not None:
        _keep_approval(rows, change.audit.account_id, change.approval)
    if change.ring_number:
        rows.keep_ring_number(change.ring_number)
    if change.archive is not None:
        _empty_archived(rows, log, change.archive)
    kept = (change.retire, change.approval, change.ring_number or None, change.archive)
    return any(one is not None for one in kept)


def _keep_approval(rows: Rows, account_id: str, stored: StoredApproval) -> None:
    """Keep an approval; do nothing if the same approver has approved the same code at the same time.

    Raises:
        NightsafeError: VERSION_NOT_FOUND, when the version does not exist any more.
    """
    if rows.version_number(account_id, stored.script_id, stored.version_id) is None:
        raise NightsafeError(Code.VERSION_NOT_FOUND, stored.version_id.hex())
    rows.keep_approval(account_id, stored)


def _empty_archived(rows: Rows, log: GroupLog, archived: ArchivedEntries) -> None:
    """Empty archived entries. Their leaf hashes stay. The entry of the change names the number of all archived ones.

    Raises:
        NightsafeError: UNAVAILABLE, when the entries are not the next ones to archive.
    """
    if not rows.empty_archived(archived.first, archived.end):
        raise NightsafeError(
            Code.UNAVAILABLE,
            f"the entries {archived.first} to {archived.end - 1} are not the next ones to archive: another process"
            " has archived entries meanwhile, so run the command again",
        )
    log.written.rows.append((ARCHIVED, archived_digest(archived.end)))
