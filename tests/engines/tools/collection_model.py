"""A model of collections and items, kept in dictionaries, that the store is compared with."""

import json
from collections import Counter

from msgspec.structs import replace

from nightsafe.errors import Code
from nightsafe.store.collections import Collection, CollectionEdit, Item, Kind, PutMode

DatabaseFiles = tuple[str, str]
Where = tuple[str, Kind, str]
Problems = list[tuple[Code, str]]


class CollectionModel:
    """Collections by account, kind and name; their items by environment and name; and the scripts in namespaces.

    A script outside every namespace is added to the collections when it is uploaded.
    """

    def __init__(self) -> None:
        self.collections: dict[Where, tuple[Collection, dict[DatabaseFiles, Item]]] = {}
        self.inside: set[tuple[str, str, str]] = set()

    def count(self, account_id: str, namespace: str) -> int:
        """Return how many scripts a namespace holds."""
        return sum(key[:2] == (account_id, namespace) for key in self.inside)

    def items(self, where: Where) -> list[Item]:
        """Return every item of a collection, in order."""
        items = self.collections[where][1]
        return [items[place] for place in sorted(items)]

    def collection_edit(self, edit: CollectionEdit, at: int) -> tuple[Problems, bool]:
        """Apply an edit, unless it has problems; return the problems and whether the edit altered anything."""
        where = (edit.account_id, edit.kind, edit.name)
        problems = self._missing(edit, where)
        if problems:
            return problems, False
        if edit.remove:
            del self.collections[where]
            return [], True
        collection, items = self.collections.get(where) or (edit.create, {})
        assert collection is not None
        after, problems = _put(edit, items)
        problems = problems or self._too_many(edit, len(after) - len(items))
        if problems:
            return problems, False
        body = {**json.loads(collection.body), **json.loads(edit.body or b"{}")}
        body = {name: value for name, value in body.items() if value is not None}
        altered = bool(edit.create or edit.put or after != items or body != json.loads(collection.body))
        new = replace(collection, body=json.dumps(body).encode())
        self.collections[where] = (replace(new, modified_on=at) if altered and not edit.create else new, after)
        return [], altered

    def _missing(self, edit: CollectionEdit, where: Where) -> Problems:
        """Return the problems with the collection itself: absent, taken, not empty, or one too many."""
        there = where in self.collections
        if edit.create is None:
            inside = self.count(edit.account_id, edit.name)
            if not there:
                return [(Code.COLLECTION_NOT_FOUND, edit.name)]
            full = edit.remove and edit.kind is Kind.DISPATCH_NAMESPACE and inside > 0
            return [(Code.NAMESPACE_NOT_EMPTY, str(inside))] if full else []
        alike = [key for key in self.collections if key[:2] == where[:2]]
        if there:
            return [(Code.COLLECTION_TAKEN, edit.name)]
        return (
            [(Code.TOO_MANY_COLLECTIONS, str(edit.max_collections))] if 0 < edit.max_collections <= len(alike) else []
        )

    def _too_many(self, edit: CollectionEdit, more: int) -> Problems:
        """Return the problem with the limit on items, when an edit adds `more` items."""
        alike = [items for key, (_, items) in self.collections.items() if key[:2] == (edit.account_id, edit.kind)]
        count = sum(len(items) for items in alike) + more
        return [(Code.TOO_MANY_ITEMS, str(edit.max_items))] if more > 0 and 0 < edit.max_items < count else []


def _put(edit: CollectionEdit, items: dict[DatabaseFiles, Item]) -> tuple[dict[DatabaseFiles, Item], Problems]:
    """Put the items one after the other, then drop the places that were not put."""
    after, problems = dict(items), []
    for new in edit.put:
        had = after.get((new.environment, new.name))
        if edit.put_mode is PutMode.NEW and had is not None:
            problems.append((Code.ITEM_TAKEN, new.name))
        if edit.put_mode is PutMode.PRESENT and (had is None or had.id != new.id):
            problems.append((Code.ITEM_NOT_FOUND, new.name))
        stored = new if had is None else _over(new, had, amend=edit.amend)
        after[new.environment, new.name] = replace(stored, digest=b"")
    for place in edit.drop:
        if place not in items and edit.require_drop:
            problems.append((Code.ITEM_NOT_FOUND, place[1]))
        if place not in {(new.environment, new.name) for new in edit.put}:
            after.pop(place, None)
    ids = Counter(item.id for item in after.values())
    problems = problems or [(Code.ITEM_TAKEN, new.name) for new in edit.put if ids[new.id] > 1]
    return after, list(dict.fromkeys(problems))


def _over(new: Item, had: Item, *, amend: bool) -> Item:
    """Return the item that results when `new` replaces `had`."""
    kept = (had.sealed, had.key_id) if amend and new.sealed is None else (new.sealed, new.key_id)
    shown = {**(json.loads(had.shown) if amend else {}), **json.loads(new.shown)}
    told = json.dumps(shown, separators=(",", ":")).encode()
    return replace(new, created_on=had.created_on, shown=told, sealed=kept[0], key_id=kept[1])
