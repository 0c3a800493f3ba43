"""Builders of collections, items and their changes, for the tests of every engine."""

import os
from typing import Any

from msgspec.structs import replace
from tests.engines.tools.changes import ACCOUNT, OTHER_ACCOUNT, change, entry, shown

from nightsafe.errors import NightsafeError
from nightsafe.sealing.context import Context
from nightsafe.store.changes import Change
from nightsafe.store.collections import Collection, CollectionEdit, Item, Kind
from nightsafe.store.interface import Store

NAME = "main"
LONG_AGO = 1_600_000_000_000_000
KINDS = (Kind.DISPATCH_NAMESPACE, Kind.PAGES_PROJECT, Kind.SECRETS_STORE)
"""The kinds that are created and removed as collections."""


def some_id() -> str:
    """Return a new random id."""
    return os.urandom(16).hex()


def value(name: str, environment: str = "", **fields: Any) -> Item:
    """Return a secret item with a new id and a new sealed value; `fields` override this."""
    made: dict[str, Any] = {
        "id": some_id(),
        "kind": "secret_text",
        "shown": shown(name, "secret_text"),
        "created_on": LONG_AGO,
        "modified_on": LONG_AGO,
        "sealed": os.urandom(200),
        "key_id": "key-1",
    }
    return Item(environment=environment, name=name, **{**made, **fields})


def open_value(name: str, environment: str = "", **fields: Any) -> Item:
    """Return an item that is not a secret."""
    return value(name, environment, **{"kind": "plain_text", "sealed": None, "key_id": None, **fields})


def new_collection(
    name: str = NAME, kind: Kind = Kind.SECRETS_STORE, account_id: str = ACCOUNT, body: bytes = b"{}"
) -> Collection:
    """Return a collection to be created."""
    return Collection(
        account_id=account_id,
        kind=kind,
        name=name,
        id=some_id(),
        body=body,
        created_on=LONG_AGO,
        modified_on=LONG_AGO,
    )


def place_of(name: str, item: Item, account_id: str = ACCOUNT) -> Context:
    """Return the place of a collection's item, as the tests' values have it: with its environment as namespace."""
    return Context(
        account_id=account_id, namespace=f"test:{item.environment}", script=name, name=item.name, kind=item.kind
    )


def _with_digest(place: Context, item: Item) -> Item:
    """Return an item as the service hands it to the store: with the digest of its sealed value."""
    try:
        return item if item.sealed is None else replace(item, digest=place.record_digest(item.sealed))
    except NightsafeError:  # a name that UTF-8 cannot encode, which the store refuses
        return item


def making(collection: Collection, **fields: Any) -> Change:
    """Return a change that creates a collection; `fields` are further fields of its edit."""
    return holding(collection.name, collection.kind, collection.account_id, create=collection, **fields)


def holding(name: str = NAME, kind: Kind = Kind.SECRETS_STORE, account_id: str = ACCOUNT, **fields: Any) -> Change:
    """Return a change that edits one collection.

    It has a later time than every change before it, and the digests of its sealed values.
    """
    fields["put"] = tuple(_with_digest(place_of(name, item, account_id), item) for item in fields.get("put", ()))
    edit = CollectionEdit(account_id=account_id, kind=kind, name=name, **fields)
    return replace(change(audit=entry(account_id=account_id)), collection_edit=edit)


def putting(*items: Item, **fields: Any) -> Change:
    """Return a change that puts items into the default secrets store."""
    return holding(put=items, **fields)


async def held(store: Store, name: str = NAME, kind: Kind = Kind.SECRETS_STORE) -> list[Item]:
    """Return every item of an existing collection."""
    collection = await store.collection(ACCOUNT, kind, name)
    assert collection is not None
    return await store.items(ACCOUNT, collection.id)


async def everything(store: Store) -> object:
    """Return the collections, items and log entries of both accounts; a refused change must not alter them."""
    return [await _of_account(store, account_id) for account_id in (ACCOUNT, OTHER_ACCOUNT)]


async def _of_account(store: Store, account_id: str) -> list[object]:
    """Return the collections, items and log entries of one account."""
    collections = [collection for kind in KINDS for collection in await store.collections(account_id, kind)]
    scripts = [
        await store.collection(account_id, Kind.SCRIPT, script.ref.name) for script in await store.scripts(account_id)
    ]
    told: list[object] = [
        (one, await store.items(account_id, one.id)) for one in (*collections, *scripts) if one is not None
    ]
    return [*told, *await store.audit_entries(account_id, limit=1_000_000)]
