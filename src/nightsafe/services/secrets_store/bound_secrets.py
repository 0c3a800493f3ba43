"""The secrets of a Secrets Store, as delivered to the scripts bound to them.

A binding names a store and a secret. The script gets the current value, so a change in a store is a change of every
script bound to that store.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct, field

from nightsafe.bundle.model import StoredSecret
from nightsafe.services.secrets_store.stores import metadata_of
from nightsafe.store.bundles import ServedBinding
from nightsafe.store.changes import AuditEntry
from nightsafe.store.collections import Item, Kind
from nightsafe.store.interface import Store
from nightsafe.store.scripts import Binding

KIND: Final = "secrets_store_secret"
_SCOPE: Final = "workers"


class _StoreBinding(Struct, frozen=True):
    """The members of a binding that name its secret."""

    store_id: object = None
    secret_name: object = None


class _CollectionEntry(Struct, frozen=True):
    """The members of a log entry that name its collection."""

    collection: str = field(default="", name="holder")
    resource: str = ""


_BINDING: Final = msgspec.json.Decoder(_StoreBinding)
_COLLECTION_ENTRY: Final = msgspec.json.Decoder(_CollectionEntry)

SecretLocation = tuple[object, object]
"""A store's ID and a secret's name."""


class BoundSecrets:
    """Looks up secrets for bindings, and scripts for stores.

    Args:
        store: the database that holds both.
    """

    def __init__(self, store: Store) -> None:
        self._store: Final = store

    async def for_bindings(
        self, account_id: str, bindings: Iterable[Binding | ServedBinding]
    ) -> Mapping[SecretLocation, StoredSecret]:
        """Return the secrets that bindings name, by place.

        Leave out secrets that do not exist or are not for Workers.
        """
        locations = {location_of_binding(binding) for binding in bindings if binding.kind == KIND}
        secrets: dict[SecretLocation, StoredSecret] = {}
        for store_id in {store_id for store_id, _ in locations}:
            records = await self._records(account_id, store_id)
            for item in await self._items(account_id, store_id):
                record = records.get((item.environment, item.name))
                if (store_id, item.name) in locations and record is not None and _is_for_workers(item):
                    secrets[store_id, item.name] = _to_stored_secret(str(store_id), item, record)
        return secrets

    async def existing(self, account_id: str, locations: Collection[SecretLocation]) -> set[SecretLocation]:
        """Return the places that have a secret, whether or not it is for Workers."""
        existing: set[SecretLocation] = set()
        for store_id in {store_id for store_id, _ in locations}:
            existing |= {(store_id, item.name) for item in await self._items(account_id, store_id)}
        return existing & set(locations)

    async def scripts_bound_to_changed_stores(self, account_id: str, entries: Iterable[AuditEntry]) -> Sequence[str]:
        """Return scripts outside dispatch namespaces that are or were bound to a store in the log entries."""
        changed = (_COLLECTION_ENTRY.decode(entry.entry) for entry in entries)
        stores = {change.resource for change in changed if change.collection == Kind.SECRETS_STORE}
        if not stores:
            return []
        bound = await self._store.bound_to_stores(account_id)
        return [script for script, public_json in bound if _BINDING.decode(public_json).store_id in stores]

    async def _items(self, account_id: str, store_id: object) -> Sequence[Item]:
        """Return the secrets of a store; empty if the store does not exist."""
        if not isinstance(store_id, str):
            return []
        collection = await self._store.collection(account_id, Kind.SECRETS_STORE, store_id)
        return [] if collection is None else await self._store.items(account_id, collection.id)

    async def _records(self, account_id: str, store_id: object) -> Mapping[tuple[str, str], bytes]:
        """Return the records of a store's secrets; empty if the store does not exist."""
        if not isinstance(store_id, str):
            return {}
        collection = await self._store.collection(account_id, Kind.SECRETS_STORE, store_id)
        return {} if collection is None else await self._store.item_records(account_id, collection.id)


def location_of_binding(binding: Binding | ServedBinding) -> SecretLocation:
    """Return the place that a binding of this type names.

    If a member is not a string, return a place that never exists.
    """
    bound = _BINDING.decode(binding.shown)
    members = (bound.store_id, bound.secret_name)
    return members if all(isinstance(member, str) for member in members) else (None, None)


def _is_for_workers(item: Item) -> bool:
    """Return whether a secret is for Workers."""
    return _SCOPE in metadata_of(item).scopes


def _to_stored_secret(store_id: str, item: Item, record: bytes) -> StoredSecret:
    """Return a secret in the form of a bundle."""
    return StoredSecret(store_id=store_id, name=item.name, sealed_name=metadata_of(item).sealed_name, record=record)
