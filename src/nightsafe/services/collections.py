"""Shared parts of the use cases of collections: IDs, items, and error codes for each kind of collection."""

import uuid

from nightsafe.errors import Code, NightsafeError, Problem
from nightsafe.store.changes import Change, Outcome
from nightsafe.store.collections import Collection, Item, Kind
from nightsafe.store.interface import Store
from nightsafe.store.scripts import Binding

_CODES: dict[Kind, dict[Code, Code]] = {
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
    """Return a new ID for a collection or an item: 32 hex digits."""
    return uuid.uuid4().hex


async def find_collection(store: Store, account_id: str, kind: Kind, name: str) -> Collection:
    """Return a collection.

    Raises:
        NightsafeError: the code for an absent collection of this kind, for example PROJECT_NOT_FOUND.
    """
    collection = await store.collection(account_id, kind, name)
    if collection is None:
        raise NightsafeError(_CODES[kind][Code.COLLECTION_NOT_FOUND])
    return collection


def item_of(binding: Binding, environment: str, at: int) -> Item:
    """Return a new item of a collection, made from a binding."""
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
        digest=binding.digest,
    )


async def commit_collection(store: Store, change: Change) -> Outcome:
    """Commit a change to a collection; a refusal gets the error code for the kind of collection.

    Raises:
        NightsafeError: like `Store.commit`, with the codes for namespaces, projects, stores or scripts.
    """
    try:
        return await store.commit(change)
    except NightsafeError as error:
        codes = _CODES[change.collection_edit.kind] if change.collection_edit else {}
        problems = [
            Problem(codes.get(problem.code, problem.code), problem.detail, problem.pointer)
            for problem in error.problems
        ]
        raise NightsafeError.of(problems) from None
