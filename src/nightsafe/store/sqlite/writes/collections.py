"""Applies an edit of a collection in SQL, inside the writer's transaction."""

import sqlite3

from msgspec.structs import replace

from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.proven_record import put_digest
from nightsafe.store.collection_plan import CollectionPlan, Counts, plan_collection, refuse_invalid_edit
from nightsafe.store.collections import Collection, CollectionEdit, Item, Kind
from nightsafe.store.log.written import Subject, collection_digest, item_digest, value_place
from nightsafe.store.sqlite.reads.collections import COUNT_SCRIPTS, ITEMS, collection_of, collection_query, item_of
from nightsafe.store.sqlite.writes.audit_log import GroupLog

_ID_EXISTS = "SELECT 1 FROM collections WHERE account_id = ? AND id = ?"
_COUNT_COLLECTIONS = "SELECT count(*) FROM collections WHERE account_id = ? AND kind = ?"
_COUNT_ITEMS = """
SELECT count(*) FROM collections h JOIN items e ON e.account_id = h.account_id AND e.collection_id = h.id
WHERE h.account_id = ? AND h.kind = ?
"""
_PUT_COLLECTION = """
INSERT INTO collections (account_id, kind, name, id, body, created_on, modified_on) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (account_id, kind, name) DO UPDATE SET body = excluded.body, modified_on = excluded.modified_on
"""
_PUT_ITEM = """
INSERT INTO items
  (account_id, collection_id, environment, name, id, kind, shown, created_on, modified_on, key_id, sealed,
  since, stated_in, position)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_STATED = """
SELECT since, stated_in, position FROM items
WHERE account_id = ? AND collection_id = ? AND environment = ? AND name = ?
"""
_DROP_ITEM = "DELETE FROM items WHERE account_id = ? AND collection_id = ? AND environment = ? AND name = ?"
_REMOVE_ITEMS = "DELETE FROM items WHERE account_id = ? AND collection_id = ?"
_REMOVE_COLLECTION = "DELETE FROM collections WHERE account_id = ? AND id = ?"


def edit_collection(
    db: sqlite3.Cursor, log: GroupLog, edit: CollectionEdit, at: int
) -> tuple[Collection | None, tuple[Item, ...], bool]:
    """Apply an edit of a collection.

    Args:
        db: a cursor in a transaction, with a savepoint for this change.
        log: the transaction's part of the log.
        edit: the requested edit.
        at: the time of the change, in microseconds.

    Returns:
        The collection after the edit, or None if it was removed; its items, ordered by environment and name; whether
            anything changed.

    Raises:
        NightsafeError: as `Store.commit` specifies; nothing was written.
        sqlite3.Error: when the engine fails; the caller must roll back.
    """
    refuse_invalid_edit(edit)
    collection = _find(db, edit.account_id, edit.kind, edit.name)
    if edit.remove:
        _remove(db, log, edit, collection)
        return None, (), True
    current = [] if collection is None else _items(db, collection)
    plan = plan_collection(edit, collection, current, _counts(db, edit), at)
    if plan.altered:
        _refuse_id(db, edit)
        _write(db, log, plan)
    return plan.collection, tuple(replace(item, digest=b"") for item in plan.items), plan.altered


def exists(db: sqlite3.Cursor, account_id: str, kind: Kind, name: str) -> bool:
    """Return True if a collection exists."""
    return _find(db, account_id, kind, name) is not None


def remove_script_items(db: sqlite3.Cursor, account_id: str, script_id: str) -> None:
    """Remove the items of a script that is being deleted."""
    _erase(db, account_id, script_id)


def _find(db: sqlite3.Cursor, account_id: str, kind: Kind, name: str) -> Collection | None:
    """Read the current collection."""
    row = db.execute(*collection_query(account_id, kind, name)).fetchone()
    return None if row is None else collection_of(account_id, kind, row)


def _items(db: sqlite3.Cursor, collection: Collection) -> list[Item]:
    """Read all items of a collection."""
    return [item_of(row) for row in db.execute(ITEMS, (collection.account_id, collection.id))]


def _counts(db: sqlite3.Cursor, edit: CollectionEdit) -> Counts:
    """Count the account's collections and items of the edit's kind, only where a limit applies."""
    key_prefix = (edit.account_id, edit.kind)
    collections = (
        db.execute(_COUNT_COLLECTIONS, key_prefix).fetchone()[0]
        if edit.max_collections and edit.create is not None
        else 0
    )
    items = db.execute(_COUNT_ITEMS, key_prefix).fetchone()[0] if edit.max_items and edit.put else 0
    return Counts(collections, items)


def _refuse_id(db: sqlite3.Cursor, edit: CollectionEdit) -> None:
    """Refuse to create a collection with the id of another in the account, because they would share their items."""
    if edit.create is not None and db.execute(_ID_EXISTS, (edit.account_id, edit.create.id)).fetchone() is not None:
        raise NightsafeError(Code.COLLECTION_TAKEN, edit.name)


def _write(db: sqlite3.Cursor, log: GroupLog, plan: CollectionPlan) -> None:
    """Write the rows of a plan. Deletions come first, so that an id can pass from one item to another."""
    stated = [_state(db, log, plan.collection, item) for item in plan.put]
    new = plan.collection
    values = (new.id, new.body, new.created_on, new.modified_on)
    db.execute(_PUT_COLLECTION, (new.account_id, new.kind, new.name, *values))
    _name_rows(log, plan)
    for item in plan.retire:
        db.execute(_DROP_ITEM, (new.account_id, new.id, item.environment, item.name))
    for item, place in zip(plan.put, stated, strict=True):
        what = (item.environment, item.name, item.id, item.kind, item.shown)
        rest = (item.created_on, item.modified_on, item.key_id, item.sealed)
        db.execute(_PUT_ITEM, (new.account_id, new.id, *what, *rest, *place))


def _state(db: sqlite3.Cursor, log: GroupLog, collection: Collection, item: Item) -> tuple[int | None, ...]:
    """State an item's value; return since when it is there, and the place of the statement.

    A value that an amended item keeps has its statement already.
    """
    if item.sealed is None:
        return None, None, None
    if not item.digest:
        row = db.execute(_STATED, (collection.account_id, collection.id, item.environment, item.name)).fetchone()
        return row or (None, None, None)
    at = value_place(item.environment, item.name)
    return item.modified_on, *log.state(Subject.ITEM, put_digest(item.digest, item.modified_on), at)


def _name_rows(log: GroupLog, plan: CollectionPlan) -> None:
    """Name in the log the rows that a plan writes and removes."""
    written, put = log.written, {(item.environment, item.name): item for item in plan.put}
    written.owner = plan.collection.id
    written.rows.append((f"collection/{plan.collection.id}", collection_digest(plan.collection)))
    for item in plan.retire:
        after = put.get((item.environment, item.name))
        if after is None:
            written.gone.append(f"item//{item.environment}/{item.name}")
        elif after.sealed is None and item.sealed is not None:
            written.gone.append(f"value//{value_place(item.environment, item.name)}")
    for item in plan.put:
        written.rows.append((f"item//{item.environment}/{item.name}", item_digest(item)))


def _remove(db: sqlite3.Cursor, log: GroupLog, edit: CollectionEdit, collection: Collection | None) -> None:
    """Delete a collection with its items; refuse to delete a dispatch namespace that contains scripts."""
    if collection is None:
        raise NightsafeError(Code.COLLECTION_NOT_FOUND, edit.name)
    if edit.kind is Kind.DISPATCH_NAMESPACE:
        count = db.execute(COUNT_SCRIPTS, (edit.account_id, edit.name)).fetchone()[0]
        if count:
            raise NightsafeError(Code.NAMESPACE_NOT_EMPTY, str(count))
    count = len(_items(db, collection)) if edit.only_empty else 0
    if count:
        raise NightsafeError(Code.COLLECTION_NOT_EMPTY, str(count))
    _erase(db, edit.account_id, collection.id)
    log.written.gone.append(f"owner/{collection.id}")


def _erase(db: sqlite3.Cursor, account_id: str, collection_id: str) -> None:
    """Delete every row of a collection."""
    db.execute(_REMOVE_ITEMS, (account_id, collection_id))
    db.execute(_REMOVE_COLLECTION, (account_id, collection_id))
