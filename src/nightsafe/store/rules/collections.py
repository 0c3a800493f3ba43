"""Applies an edit of a collection."""

from msgspec.structs import replace

from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.proven_record import put_digest
from nightsafe.store.collections import Collection, CollectionEdit, Item, Kind
from nightsafe.store.log.written import Subject, collection_digest, item_digest, value_place
from nightsafe.store.rules.collection_plan import CollectionPlan, Counts, plan_collection, refuse_invalid_edit
from nightsafe.store.rules.group_log import GroupLog
from nightsafe.store.rules.rows import CollectionRows


def edit_collection(
    rows: CollectionRows, log: GroupLog, edit: CollectionEdit, at: int
) -> tuple[Collection | None, tuple[Item, ...], bool]:
    """Apply an edit of a collection.

    Args:
        rows: the rows of the transaction.
        log: the transaction's part of the log.
        edit: the requested edit.
        at: the time of the change, in microseconds.

    Returns:
        The collection after the edit, or None if it was removed; its items, ordered by environment and name; whether
            anything changed.

    Raises:
        NightsafeError: as `Store.commit` specifies; nothing was written.
    """
    refuse_invalid_edit(edit)
    collection = rows.collection(edit.account_id, edit.kind, edit.name)
    if edit.remove:
        _remove(rows, log, edit, collection)
        return None, (), True
    current = [] if collection is None else rows.items(collection.account_id, collection.id)
    plan = plan_collection(edit, collection, current, _counts(rows, edit), at)
    if plan.altered:
        _refuse_id(rows, edit)
        _write(rows, log, plan)
    return plan.collection, tuple(replace(item, digest=b"") for item in plan.items), plan.altered


def _counts(rows: CollectionRows, edit: CollectionEdit) -> Counts:
    """Count the account's collections and items of the edit's kind, only where a limit applies."""
    creates, puts = edit.max_collections and edit.create is not None, edit.max_items and edit.put
    return Counts(
        rows.count_collections(edit.account_id, edit.kind) if creates else 0,
        rows.count_items(edit.account_id, edit.kind) if puts else 0,
    )


def _refuse_id(rows: CollectionRows, edit: CollectionEdit) -> None:
    """Refuse to create a collection with the id of another in the account, because they would share their items."""
    if edit.create is not None and rows.has_collection_id(edit.account_id, edit.create.id):
        raise NightsafeError(Code.COLLECTION_TAKEN, edit.name)


def _write(rows: CollectionRows, log: GroupLog, plan: CollectionPlan) -> None:
    """Write the rows of a plan. Deletions come first, so that an id can pass from one item to another."""
    new = plan.collection
    stated = [_state(rows, log, new, item) for item in plan.put]
    rows.put_collection(new)
    _name_rows(log, plan)
    for item in plan.retire:
        rows.drop_item(new.account_id, new.id, item)
    for item, statement in zip(plan.put, stated, strict=True):
        rows.put_item(new.account_id, new.id, item, statement)


def _state(
    rows: CollectionRows, log: GroupLog, collection: Collection, item: Item
) -> tuple[int | None, int | None, int | None]:
    """State an item's value; return since when it is there, and the place of the statement.

    A value that an amended item keeps has its statement already.
    """
    if item.sealed is None:
        return None, None, None
    if not item.digest:
        return rows.item_statement(collection.account_id, collection.id, item)
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


def _remove(rows: CollectionRows, log: GroupLog, edit: CollectionEdit, collection: Collection | None) -> None:
    """Delete a collection with its items; refuse to delete a dispatch namespace that contains scripts."""
    if collection is None:
        raise NightsafeError(Code.COLLECTION_NOT_FOUND, edit.name)
    if edit.kind is Kind.DISPATCH_NAMESPACE and (count := rows.count_scripts(edit.account_id, edit.name)):
        raise NightsafeError(Code.NAMESPACE_NOT_EMPTY, str(count))
    if edit.only_empty and (items := rows.items(edit.account_id, collection.id)):
        raise NightsafeError(Code.COLLECTION_NOT_EMPTY, str(len(items)))
    rows.remove_collection(edit.account_id, collection.id)
    log.written.gone.append(f"owner/{collection.id}")
