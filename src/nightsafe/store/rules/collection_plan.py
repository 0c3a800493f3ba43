"""Plans an edit of a collection without a database, so that every engine carries out the same plan."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from nightsafe.errors import Code, NightsafeError, Problem
from nightsafe.store.collections import Collection, CollectionEdit, Item, Kind, PutMode
from nightsafe.store.rules.json_merge import apply_settings, merge_json
from nightsafe.store.script_edit import SettingsUpdate

ItemKey = tuple[str, str]
"""An item's environment and name."""


class Counts(NamedTuple):
    """The account's counts before the edit, for the edit's kind of collection; 0 where no limit applies.

    Attributes:
        collections: how many collections the account has.
        items: how many items all these collections have.
    """

    collections: int = 0
    items: int = 0


class CollectionPlan(NamedTuple):
    """The rows to write.

    Attributes:
        collection: the collection after the edit.
        items: every item of the collection after the edit, ordered by environment and name.
        retire: the items to delete, including those that an item of `put` replaces.
        put: the items to insert after those of `retire` are deleted.
        altered: whether there is anything to write.
    """

    collection: Collection
    items: tuple[Item, ...]
    retire: tuple[Item, ...]
    put: tuple[Item, ...]
    altered: bool


def plan_collection(
    edit: CollectionEdit, collection: Collection | None, items: Iterable[Item], counts: Counts, at: int
) -> CollectionPlan:
    """Plan an edit that does not remove the collection.

    An item that is both in `drop` and in `put` is put. If `put` has two items with the same environment and name, the
    last one stays, as if they were put one after the other; so `PutMode.NEW` refuses the second.

    Args:
        edit: the requested edit.
        collection: the collection before the edit, or None if it is absent.
        items: all items of the collection.
        counts: the account's counts for the edit's kind of collection.
        at: the time of the change, in microseconds.

    Raises:
        NightsafeError: as `Store.commit` specifies for collections and items, except NAMESPACE_NOT_EMPTY and STORE.
    """
    target = _collection_to_edit(edit, collection, counts)
    before = {(item.environment, item.name): item for item in items}
    after = _items_after(edit, before)
    _check_limit(Code.TOO_MANY_ITEMS, len(after) - len(before), counts.items, edit.max_items)
    body = (
        None
        if edit.body is None
        else apply_settings(target.body, SettingsUpdate(edit.body, merge=True, expected=edit.expected_body))
    )
    put = tuple(after[key] for key in dict.fromkeys((item.environment, item.name) for item in edit.put))
    retire = tuple(item for key, item in before.items() if after.get(key) is not item)
    altered = bool(edit.create or put or retire) or body is not None
    modified_on = at if altered and edit.create is None else target.modified_on
    items = tuple(after[key] for key in sorted(after))
    now = replace(target, body=target.body if body is None else body, modified_on=modified_on)
    return CollectionPlan(now, items, retire, put, altered)


def refuse_invalid_edit(edit: CollectionEdit) -> None:
    """Refuse an edit that is invalid in every state of the store.

    Raises:
        NightsafeError: INVALID.
    """
    if edit.kind is Kind.SCRIPT and (edit.create is not None or edit.remove):
        raise NightsafeError(
            Code.INVALID, "a script cannot be created or removed as a collection: upload or delete the script itself"
        )
    new = edit.create
    if new is not None and (new.account_id, new.kind, new.name) != (edit.account_id, edit.kind, edit.name):
        raise NightsafeError(Code.INVALID, "the collection to create is not the collection that the edit names")


def _collection_to_edit(edit: CollectionEdit, collection: Collection | None, counts: Counts) -> Collection:
    """Return the collection to edit: the existing one, or the one to create."""
    if edit.create is None:
        if collection is None:
            raise NightsafeError(Code.COLLECTION_NOT_FOUND, edit.name)
        return collection
    if collection is not None:
        raise NightsafeError(Code.COLLECTION_TAKEN, edit.name)
    _check_limit(Code.TOO_MANY_COLLECTIONS, 1, counts.collections, edit.max_collections)
    return edit.create


def _check_limit(code: Code, more: int, count: int, maximum: int) -> None:
    """Refuse to exceed a limit. A number that exceeds the limit already may stay or decrease."""
    if maximum and more > 0 and count + more > maximum:
        raise NightsafeError(code, str(maximum))


def _items_after(edit: CollectionEdit, before: Mapping[ItemKey, Item]) -> dict[ItemKey, Item]:
    """Return every item after the edit; refuse an edit that `put_mode` or `require_drop` forbids."""
    problems = []
    drop = frozenset(edit.drop)
    after = {key: item for key, item in before.items() if key not in drop}
    for new in edit.put:
        key = (new.environment, new.name)
        existing = after.get(key) or before.get(key)
        problem = _put_problem(edit.put_mode, new, existing)
        if problem is not None:
            problems.append(Problem(problem, new.name))
        after[key] = _stored_item(new, existing, amend=edit.amend)
    if edit.require_drop:
        problems += [
            Problem(Code.ITEM_NOT_FOUND, name) for environment, name in edit.drop if (environment, name) not in before
        ]
    _raise_any(problems or _duplicate_id_problems(edit, after))
    return after


def _put_problem(over: PutMode, new: Item, existing: Item | None) -> Code | None:
    """Return the code with which `put_mode` refuses a put item, given the item it would replace; None if allowed."""
    if over is PutMode.NEW and existing is not None:
        return Code.ITEM_TAKEN
    if over is PutMode.PRESENT and (existing is None or existing.id != new.id):
        return Code.ITEM_NOT_FOUND
    return None


def _stored_item(new: Item, existing: Item | None, *, amend: bool) -> Item:
    """Return the item as it is stored after it replaces another."""
    if existing is None:
        return new
    put = replace(new, created_on=existing.created_on)
    if not amend:
        return put
    put = replace(put, shown=merge_json(existing.shown, new.shown))
    return put if new.sealed is not None else replace(put, sealed=existing.sealed, key_id=existing.key_id, digest=b"")


def _duplicate_id_problems(edit: CollectionEdit, after: Mapping[ItemKey, Item]) -> list[Problem]:
    """Return a problem for each put item that would share its id with another item."""
    ids = Counter(item.id for item in after.values())
    return [Problem(Code.ITEM_TAKEN, new.name) for new in edit.put if ids[new.id] > 1]


def _raise_any(problems: Iterable[Problem]) -> None:
    """Raise the problems, if there are any, in their order and without duplicates."""
    unique = list(dict.fromkeys(problems))
    if unique:
        raise NightsafeError.of(unique)
