"""What the use cases of collections have in common: ids, items, and refusals in the words of the kind."""

import uuid

from nightsafe.errors import Code, NightsafeError, Problem
from nightsafe.store.changes import Change, Outcome
from nightsafe.store.collections import Item, Kind
from nightsafe.store.interface import Store
from nightsafe.store.scripts import Binding

_WORDS: dict[Kind, dict[Code, Code]] = {
    Kind.DISPATCH_NAMESPACE: {Code.COLLECTION_NOT_FOUND: Code.NAMESPACE_NOT_FOUND},
    Kind.PAGES_PROJECT: {
        Code.COLLECTION_NOT_FOUND: Code.PROJECT_NOT_FOUND,
        Code.COLLECTION_TAKEN: Code.PROJECT_TAKEN,
    },
    Kind.SECRETS_STORE: {
        Code.COLLECTION_NOT_FOUND: Code.STORE_NOT_FOUND,
        Code.ITEM_NOT_FOUND: Code.STORE_SECRET_NOT_FOUND,
        Code.ITEM_TAKEN: Code.STORE_SECRET_TAKEN,
    },
    Kind.SCRIPT: {Code.COLLECTION_NOT_FOUND: Code.SCRIPT_NOT_FOUND},
}


def new_id() -> str:
    """A new id of a collection or an item: 32 hex digits."""
    return uuid.uuid4().hex


def item_of(binding: Binding, environment: str, at: int) -> Item:
    """A binding as a new item of a collection."""
    return Item(
        environment=environment,
        name=binding.name,
        id=new_id(),
        kind=binding.kind,
        shown=binding.shown,
        created_on=at,
        modified_on=at,
        sealed=binding.sealed,
        key_id=binding.key_id,
    )


async def commit_collection(store: Store, change: Change) -> Outcome:
    """`Store.commit` of a change with an edit of a collection; refusals name what its kind calls it.

    Raises:
        NightsafeError: as `Store.commit` does, but of namespaces, projects, stores and scripts.
    """
    try:
        return await store.commit(change)
    except NightsafeError as error:
        words = _WORDS[change.collection_edit.kind] if change.collection_edit else {}
        problems = [Problem(words.get(one.code, one.code), one.detail, one.pointer) for one in error.problems]
        raise NightsafeError.of(problems) from None
