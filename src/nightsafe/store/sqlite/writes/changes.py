"""Applies a change in SQL, inside the writer's transaction."""

import sqlite3

from msgspec.structs import replace

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.changes import Change, Outcome
from nightsafe.store.sqlite.writes.collections import edit_collection
from nightsafe.store.sqlite.writes.identities import drop_token, is_unchanged, put_identity
from nightsafe.store.sqlite.writes.resealing import keep_ring_number, refuse_retired, reseal, retire
from nightsafe.store.sqlite.writes.scripts import edit_script

_AUDIT = "INSERT INTO audit (account_id, entry, leaf) VALUES (?, ?, ?)"


def apply(db: sqlite3.Cursor, change: Change) -> Outcome:
    """Apply one change.

    Raises:
        NightsafeError: when a precondition does not hold; the caller must undo the writes.
        sqlite3.Error: when the engine fails; the caller must roll back.
    """
    if not all(is_unchanged(db, token) for token in change.unchanged):
        raise NightsafeError(Code.UNAVAILABLE, "the token was changed meanwhile: send the request again")
    refuse_retired(db, change)
    outcome, altered = Outcome(), change.edit is None and change.collection_edit is None and not change.reseal
    if change.edit is not None:
        outcome, altered = edit_script(db, change.edit, change.at)
    if change.collection_edit is not None:
        collection, items, current = edit_collection(db, change.collection_edit, change.at)
        outcome, altered = replace(outcome, collection=collection, items=items), altered or current
    if change.reseal:
        resealed = reseal(db, change.audit.account_id, change.reseal)
        outcome, altered = replace(outcome, resealed=resealed), altered or bool(resealed)
    if change.retire is not None:
        retire(db, change.retire, change.at)
        altered = True
    if change.ring_number:
        keep_ring_number(db, change.ring_number)
        altered = True
    if not altered and not change.put and not change.drop_tokens:
        return outcome
    for identity in change.put:
        put_identity(db, identity)
    for token_id in change.drop_tokens:
        drop_token(db, token_id)
    entry = change.audit
    db.execute(_AUDIT, (entry.account_id, entry.entry, entry.leaf))
    return outcome
