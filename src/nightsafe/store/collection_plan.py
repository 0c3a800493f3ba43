"""What an edit of a collection comes to, worked out without a database: both engines carry out the same plan."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from nightsafe.errors import Code, NightsafeError, Problem
from nightsafe.store.collections import Collection, CollectionEdit, Item, Kind, Put
from nightsafe.store.json_merge import merged, settled
from nightsafe.store.script_edit import Settings

Place = tuple[str, str]
"""An item's environment and name."""


class Counts(NamedTuple):
    """What the account has before the edit, of the kind that the edit is of; 0 where there is no limit to hold.

    Attributes:
        collections: how many collections.
        items: how many items in all of them.
    """

    collections: int = 0
    items: int = 0


class CollectionPlan(NamedTuple):
    """The rows to write.

    Attributes:
        collection: the collection as it is afterwards.
        items: every item that it has afterwards, by environment and name.
        retire: the items that go, among them those that one of `put` replaces.
        put: the items that come, once those of `retire` are gone.
        altered: whether there is anything to write.
    """

    collection: Collection
    items: tuple[Item, ...]
    retire: tuple[Item, ...]
    put: tuple[Item, ...]
    altered: bool


def plan_collection(
    edit: CollectionEdit, collection: Collection | None, held: Iterable[Item], counts: Counts, at: int
) -> CollectionPlan:
    """Work out an edit that does not remove the collection.

    An item both in `drop` and in `put` is put. Of two in one place the last one stays, as if they had been put one
    after the other: so `Put.NEW` refuses the second.

    Args:
        edit: what is asked for.
        collection: the collection as it is, None when it is absent.
        held: all its items.
        counts: what there is of the edit's kind.
        at: when, in microseconds.

    Raises:
        NightsafeError: as `Store.commit` promises of collections and items, except NAMESPACE_NOT_EMPTY and STORE.
    """
    found = _found(edit, collection, counts)
    before = {(item.environment, item.name): item for item in held}
    after = _after(edit, before)
    _refuse_more(Code.TOO_MANY_ITEMS, len(after) - len(before), counts.items, edit.max_items)
    body = None if edit.body is None else settled(found.body, Settings(edit.body, merge=True, over=edit.body_was))
    put = tuple(after[place] for place in dict.fromkeys((item.environment, item.name) for item in edit.put))
    retire = tuple(item for place, item in before.items() if after.get(place) is not item)
    altered = bool(edit.create or put or retire) or body is not None
    modified_on = at if altered and edit.create is None else found.modified_on
    items = tuple(after[place] for place in sorted(after))
    now = replace(found, body=found.body if body is None else body, modified_on=modified_on)
    return CollectionPlan(now, items, retire, put, altered)


def refuse_senseless(edit: CollectionEdit) -> None:
    """Refuse an edit that no state could allow.

    Raises:
        NightsafeError: INVALID.
    """
    if edit.kind is Kind.SCRIPT and (edit.create is not None or edit.remove):
        raise NightsafeError(
            Code.INVALID, "a script is made by an upload and removed as a script, not as a collection"
        )
    new = edit.create
    if new is not None and (new.account_id, new.kind, new.name) != (edit.account_id, edit.kind, edit.name):
        raise NightsafeError(Code.INVALID, "the collection to make is not the one that the edit names")


def _found(edit: CollectionEdit, collection: Collection | None, counts: Counts) -> Collection:
    """The collection to work on: the one there is, or the one to make."""
    if edit.create is None:
        if collection is None:
            raise NightsafeError(Code.COLLECTION_NOT_FOUND, edit.name)
        return collection
    if collection is not None:
        raise NightsafeError(Code.COLLECTION_TAKEN, edit.name)
    _refuse_more(Code.TOO_MANY_COLLECTIONS, 1, counts.collections, edit.max_collections)
    return edit.create


def _refuse_more(code: Code, more: int, count: int, most: int) -> None:
    """Refuse to go past a limit. What is past it already may stay, or become less."""
    if most and more > 0 and count + more > most:
        raise NightsafeError(code, str(most))


def _after(edit: CollectionEdit, before: Mapping[Place, Item]) -> dict[Place, Item]:
    """Every item that there is afterwards; refuses what `over` and `require_drop` forbid."""
    problems = []
    drop = frozenset(edit.drop)
    after = {place: item for place, item in before.items() if place not in drop}
    for new in edit.put:
        place = (new.environment, new.name)
        had = after.get(place) or before.get(place)
        problem = _problem(edit.over, new, had)
        if problem is not None:
            problems.append(Problem(problem, new.name))
        after[place] = _put_over(new, had, amend=edit.amend)
    if edit.require_drop:
        problems += [
            Problem(Code.ITEM_NOT_FOUND, name) for environment, name in edit.drop if (environment, name) not in before
        ]
    _refuse(problems or _same_ids(edit, after))
    return after


def _problem(over: Put, new: Item, had: Item | None) -> Code | None:
    """What `over` has against putting an item where there is another, or none."""
    if over is Put.NEW and had is not None:
        return Code.ITEM_TAKEN
    if over is Put.PRESENT and (had is None or had.id != new.id):
        return Code.ITEM_NOT_FOUND
    return None


def _put_over(new: Item, had: Item | None, *, amend: bool) -> Item:
    """An item as it is once it has been put where there was another."""
    if had is None:
        return new
    put = replace(new, created_on=had.created_on)
    if not amend:
        return put
    put = replace(put, shown=merged(had.shown, new.shown))
    return put if new.sealed is not None else replace(put, sealed=had.sealed, key_id=had.key_id)


def _same_ids(edit: CollectionEdit, after: Mapping[Place, Item]) -> list[Problem]:
    """A problem for each item put that would have the id of another: an id belongs to one."""
    ids = Counter(item.id for item in after.values())
    return [Problem(Code.ITEM_TAKEN, new.name) for new in edit.put if ids[new.id] > 1]


def _refuse(problems: Iterable[Problem]) -> None:
    """Raise when there is at least one, each told once, in their order."""
    each = list(dict.fromkeys(problems))
    if each:
        raise NightsafeError.of(each)
