"""Secrets of a Secrets Store as they are delivered to the scripts that are bound to them.

A script names a store and a secret; the value is that of the moment, and a change of it is a change of every script
that is bound to its store.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct, field

from nightsafe.bundle.model import StoredSecret
from nightsafe.services.secrets_store.stores import note_of
from nightsafe.store.changes import AuditEntry
from nightsafe.store.collections import Item, Kind
from nightsafe.store.interface import Store
from nightsafe.store.scripts import Binding

KIND: Final = "secrets_store_secret"
_SCOPE: Final = "workers"


class _Bound(Struct, frozen=True):
    """The members of a binding that say to what."""

    store_id: object = None
    secret_name: object = None


class _Held(Struct, frozen=True):
    """The members of a log entry that say which collection it is about."""

    collection: str = field(default="", name="holder")
    resource: str = ""


_BOUND: Final = msgspec.json.Decoder(_Bound)
_HELD: Final = msgspec.json.Decoder(_Held)

Place = tuple[object, object]
"""A store's id and a secret's name."""


class BoundSecrets:
    """Looks secrets up for bindings, and scripts for stores.

    Args:
        store: where both are.
    """

    def __init__(self, store: Store) -> None:
        self._store: Final = store

    async def of(self, account_id: str, bindings: Iterable[Binding]) -> Mapping[Place, StoredSecret]:
        """The secrets that bindings name, by place; without those that are not there or not for Workers."""
        places = {place_of_binding(one) for one in bindings if one.kind == KIND}
        found: dict[Place, StoredSecret] = {}
        for store_id in {store_id for store_id, _ in places}:
            for item in await self._items(account_id, store_id):
                if (store_id, item.name) in places and item.sealed is not None and _is_for_workers(item):
                    found[store_id, item.name] = _stored(str(store_id), item, item.sealed)
        return found

    async def present(self, account_id: str, places: Collection[Place]) -> set[Place]:
        """Those of some places at which there is a secret, whoever it is for."""
        found: set[Place] = set()
        for store_id in {store_id for store_id, _ in places}:
            found |= {(store_id, item.name) for item in await self._items(account_id, store_id)}
        return found & set(places)

    async def scripts(self, account_id: str, entries: Iterable[AuditEntry]) -> Sequence[str]:
        """Scripts outside of dispatch namespaces that are or were bound to a store that log entries are about."""
        told = (_HELD.decode(entry.entry) for entry in entries)
        stores = {one.resource for one in told if one.collection == Kind.SECRETS_STORE}
        if not stores:
            return []
        bound = await self._store.bound_to_stores(account_id)
        return [script for script, shown in bound if _BOUND.decode(shown).store_id in stores]

    async def _items(self, account_id: str, store_id: object) -> Sequence[Item]:
        """The secrets of a store; none when there is no such store."""
        if not isinstance(store_id, str):
            return []
        collection = await self._store.collection(account_id, Kind.SECRETS_STORE, store_id)
        return [] if collection is None else await self._store.items(account_id, collection.id)


def place_of_binding(binding: Binding) -> Place:
    """What a binding of this kind names. Members of other types than strings name nothing that there is."""
    bound = _BOUND.decode(binding.shown)
    members = (bound.store_id, bound.secret_name)
    return members if all(isinstance(one, str) for one in members) else (None, None)


def _is_for_workers(item: Item) -> bool:
    """Whether Workers may have a secret."""
    return _SCOPE in note_of(item).scopes


def _stored(store_id: str, item: Item, sealed: bytes) -> StoredSecret:
    """A secret as a bundle has it."""
    return StoredSecret(store_id=store_id, name=item.name, sealed_name=note_of(item).sealed_name, sealed=sealed)
