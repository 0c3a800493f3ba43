"""Applies a change in SQL, inside the writer's transaction."""

import sqlite3

from msgspec.structs import replace

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.changes import Change, Outcome
from nightsafe.store.sqlite.writes.approvals import keep_approval
from nightsafe.store.sqlite.writes.archiving import empty_archived
from nightsafe.store.sqlite.writes.audit_log import GroupLog
from nightsafe.store.sqlite.writes.collections import edit_collection
from nightsafe.store.sqlite.writes.identities import drop_refused_row, drop_token, is_unchanged, put_identity
from nightsafe.store.sqlite.writes.resealing import keep_ring_number, refuse_retired, reseal, retire, state_values
from nightsafe.store.sqlite.writes.scripts import edit_script


def apply(db: sqlite3.Cursor, change: Change, log: GroupLog) -> Outcome:
    """Apply one change, and append its entry to the log.

    Raises:
        NightsafeError: when a precondition does not hold; the caller must undo the writes.
        sqlite3.Error: when the engine fails; the caller must roll back.
    """
    if not all(is_unchanged(db, token) for token in change.unchanged):
        raise NightsafeError(Code.UNAVAILABLE, "the token was changed meanwhile: send the request again")
    refuse_retired(db, change)
    outcome, altered = Outcome(), not (change.edit or change.collection_edit or change.reseal or change.older)
    if change.edit is not None:
        outcome, altered = edit_script(db, log, change.edit, change.at)
    if change.collection_edit is not None:
        collection, items, current = edit_collection(db, log, change.collection_edit, change.at)
        outcome, altered = replace(outcome, collection=collection, items=items), altered or current
    if change.reseal:
        resealed = reseal(db, log, change.audit.account_id, change.reseal)
        outcome, altered = replace(outcome, resealed=resealed), altered or bool(resealed)
    if change.older:
        stated = state_values(db, log, change.audit.account_id, change.older)
        outcome, altered = replace(outcome, stated=stated), altered or stated > 0
    altered |= _keep_rows(db, log, change)
    if not altered and not change.put and not change.drop_tokens and not change.drop_refused:
        return outcome
    _change_identities(db, change, log)
    log.append(db, change.audit)
    return outcome


def _change_identities(db: sqlite3.Cursor, change: Change, log: GroupLog) -> None:
    """Delete and write identities."""
    for row in change.drop_refused:
        drop_refused_row(db, log, row)
    for identity, mac in zip(change.put, change.macs, strict=True):
        put_identity(db, log, identity, mac)
    for token_id in change.drop_tokens:
        drop_token(db, log, token_id)


def _keep_rows(db: sqlite3.Cursor, log: GroupLog, change: Change) -> bool:
    """Keep a retirement, an approval, a ring's number and an archiving; return whether the change has any of them."""
    if change.retire is not None:
        retire(db, log, change.retire, change.at)
    if change.approval is not None:
        keep_approval(db, change.audit.account_id, change.approval)
    if change.ring_number:
        keep_ring_number(db, change.ring_number)
    if change.archive is not None:
        empty_archived(db, log, change.archive)
    kept = (change.retire, change.approval, change.ring_number or None, change.archive)
    return any(one is not None for one in kept)
