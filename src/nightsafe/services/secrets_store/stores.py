"""The account's Secrets Store: stores, and secrets that many Workers may be bound to.

A store is a collection whose name is its ID. Paths and bindings use the ID, and the ID of a deleted store is never
reused. The body holds the store's own name.

Source: `secrets_store/stores` in the Cloudflare v4 API's specification.
"""

import asyncio
from collections.abc import Sequence

import msgspec
from msgspec import Struct, UnsetType
from msgspec.structs import replace

from nightsafe.errors import Code, NightsafeError
from nightsafe.services.caller import Caller, collection_change, now
from nightsafe.services.collections import commit_collection, find_collection, new_id
from nightsafe.services.limits import Limits
from nightsafe.services.secrets.seal import STORED_KIND, Safe, SealedForPlace, sealing_ref
from nightsafe.services.secrets_store.fields import NewSecret, SecretPatch
from nightsafe.store.changes import Outcome
from nightsafe.store.collections import Collection, CollectionEdit, Item, Kind, PutMode
from nightsafe.store.interface import Store
from nightsafe.store.scripts import ScriptRef

_KIND = Kind.SECRETS_STORE


class StoreBody(Struct, frozen=True):
    """The stored fields of a store other than its ID."""

    name: str


class SecretMetadata(Struct, frozen=True):
    """The stored fields of a secret other than its value.

    Attributes:
        scopes: the services that it is for.
        comment: free text.
        sealed_name: the name in the seal: the ID of the secret that the value first came with. It never changes, so
            that no two writes can separate a value from it.
    """

    scopes: tuple[str, ...]
    comment: str
    sealed_name: str


class _MetadataChange(Struct, frozen=True):
    """The changes to a secret's note; they never include `sealed_name`."""

    scopes: tuple[str, ...] | UnsetType
    comment: str | UnsetType


class Stores:
    """The use cases of the Secrets Store. Values pass to the safe and are wiped afterwards."""

    def __init__(self, store: Store, safe: Safe, limits: Limits) -> None:
        self._store = store
        self._safe = safe
        self._limits = limits

    async def list(self, account_id: str) -> Sequence[Collection]:
        """Return every store of an account."""
        return await self._store.collections(account_id, _KIND)

    async def get(self, account_id: str, store_id: str) -> Collection:
        """Return one store.

        Raises:
            NightsafeError: STORE_NOT_FOUND.
        """
        return await find_collection(self._store, account_id, _KIND, store_id)

    async def create(self, caller: Caller, account_id: str, name: str) -> Collection:
        """Create a store.

        Raises:
            NightsafeError: COLLECTION_TAKEN, if another store has the name; TOO_MANY_COLLECTIONS.
        """
        if any(name_of(collection) == name for collection in await self.list(account_id)):
            raise NightsafeError(Code.COLLECTION_TAKEN, name)
        at, store_id = now(), new_id()
        body = msgspec.json.encode(StoreBody(name))
        collection = Collection(
            account_id=account_id, kind=_KIND, name=store_id, id=store_id, body=body, created_on=at, modified_on=at
        )
        edit = CollectionEdit(
            account_id=account_id,
            kind=_KIND,
            name=store_id,
            create=collection,
            max_collections=self._limits.max_stores,
        )
        await commit_collection(self._store, collection_change(caller, "stores.create", edit, at))
        return collection

    async def delete(self, caller: Caller, account_id: str, store_id: str, *, force: bool) -> None:
        """Delete a store. A store that holds secrets needs `force`.

        Raises:
            NightsafeError: STORE_NOT_FOUND, COLLECTION_NOT_EMPTY.
        """
        edit = CollectionEdit(account_id=account_id, kind=_KIND, name=store_id, remove=True, only_empty=not force)
        await commit_collection(self._store, collection_change(caller, "stores.delete", edit, now()))

    async def usage(self, account_id: str) -> int:
        """Return the number of secrets in all stores of an account."""
        return sum([len(await self._store.items(account_id, store.id)) for store in await self.list(account_id)])

    async def secrets(self, account_id: str, store_id: str) -> Sequence[Item]:
        """Return every secret of a store, by name.

        Raises:
            NightsafeError: STORE_NOT_FOUND.
        """
        return await self._store.items(account_id, (await self.get(account_id, store_id)).id)

    async def secret(self, account_id: str, store_id: str, secret_id: str) -> Item:
        """Return one secret of a store.

        Raises:
            NightsafeError: STORE_NOT_FOUND, STORE_SECRET_NOT_FOUND.
        """
        secrets = await self.secrets(account_id, store_id)
        secret = next((secret for secret in secrets if secret.id == secret_id), None)
        if secret is None:
            raise NightsafeError(Code.STORE_SECRET_NOT_FOUND)
        return secret

    async def create_secrets(
        self, caller: Caller, account_id: str, store_id: str, secrets: Sequence[NewSecret]
    ) -> Sequence[Item]:
        """Create secrets, all or none, and return them in the same order.

        Raises:
            NightsafeError: STORE_NOT_FOUND, STORE_SECRET_TAKEN, TOO_MANY_ITEMS.
        """
        at, store_ref = now(), sealing_ref(_KIND, account_id, store_id)
        items = []
        try:
            for secret in secrets:
                items.append(self._item(store_ref, new_id(), secret, at))
                await asyncio.sleep(0)
        finally:
            for secret in secrets:
                _wipe(secret)
        await self._commit(caller, "stores.secrets.create", self._put_edit(store_ref, items, PutMode.NEW), at)
        return items

    async def edit_secret(
        self, caller: Caller, account_id: str, store_id: str, secret_id: str, patch: SecretPatch
    ) -> Item:
        """Change a secret. Fields that the patch does not name stay.

        Raises:
            NightsafeError: STORE_NOT_FOUND, STORE_SECRET_NOT_FOUND.
        """
        secret = await self.secret(account_id, store_id, secret_id)
        at, store_ref = now(), sealing_ref(_KIND, account_id, store_id)
        new = None
        if patch.value is not None:
            new = self._safe.seal_stored(store_ref, secret.name, metadata_of(secret).sealed_name, patch.value)
        item = replace(
            secret,
            shown=msgspec.json.encode(_MetadataChange(patch.scopes, patch.comment)),
            modified_on=at,
            sealed=None if new is None else new.sealed,
            key_id=None if new is None else new.key_id,
            digest=b"" if new is None else new.digest,
        )
        edit = replace(self._put_edit(store_ref, [item], PutMode.PRESENT), amend=True)
        outcome = await self._commit(caller, "stores.secrets.edit", edit, at)
        return next(item for item in outcome.items if item.id == secret_id)

    async def duplicate(
        self, caller: Caller, account_id: str, store_id: str, secret_id: str, copy: NewSecret
    ) -> Item:
        """Create a secret with the value of another. The caller does not need to know the value.

        Raises:
            NightsafeError: STORE_NOT_FOUND, STORE_SECRET_NOT_FOUND, STORE_SECRET_TAKEN, TOO_MANY_ITEMS; INVALID, if
                the value is sealed to a key that accepts no new values.
        """
        secret = await self.secret(account_id, store_id, secret_id)
        collection = await find_collection(self._store, account_id, _KIND, store_id)
        record = (await self._store.item_records(account_id, collection.id)).get((secret.environment, secret.name))
        if record is None:
            raise NightsafeError(Code.CANNOT_OPEN, "a secret of a store has no record")
        at, store_ref = now(), sealing_ref(_KIND, account_id, store_id)
        sealed = self._safe.rename_stored(store_ref, secret.name, copy.name, record)
        metadata = SecretMetadata(copy.scopes, copy.comment, metadata_of(secret).sealed_name)
        item = _to_item(new_id(), copy.name, metadata, sealed, at)
        await self._commit(caller, "stores.secrets.duplicate", self._put_edit(store_ref, [item], PutMode.NEW), at)
        return item

    async def delete_secrets(
        self, caller: Caller, account_id: str, store_id: str, secret_ids: Sequence[str]
    ) -> Sequence[Item]:
        """Delete secrets, all or none, and return the deleted secrets.

        Raises:
            NightsafeError: STORE_NOT_FOUND, STORE_SECRET_NOT_FOUND.
        """
        secrets = {secret.id: secret for secret in await self.secrets(account_id, store_id)}
        unique_ids = dict.fromkeys(secret_ids)
        if not secrets.keys() >= unique_ids.keys():
            raise NightsafeError(Code.STORE_SECRET_NOT_FOUND)
        dropped = [secrets[secret_id] for secret_id in unique_ids]
        edit = CollectionEdit(
            account_id=account_id,
            kind=_KIND,
            name=store_id,
            drop=tuple((secret.environment, secret.name) for secret in dropped),
            require_drop=True,
        )
        await self._commit(caller, "stores.secrets.delete", edit, now())
        return dropped

    def _item(self, store_ref: ScriptRef, secret_id: str, secret: NewSecret, at: int) -> Item:
        """Return a new secret with its value sealed to its own ID."""
        if secret.value is None:
            raise NightsafeError(Code.INVALID, "a secret needs a value")
        sealed = self._safe.seal_stored(store_ref, secret.name, secret_id, secret.value)
        return _to_item(secret_id, secret.name, SecretMetadata(secret.scopes, secret.comment, secret_id), sealed, at)

    def _put_edit(self, store_ref: ScriptRef, items: Sequence[Item], mode: PutMode) -> CollectionEdit:
        """Return the edit that puts items into a store."""
        return CollectionEdit(
            account_id=store_ref.account_id,
            kind=_KIND,
            name=store_ref.name,
            put=tuple(items),
            put_mode=mode,
            max_items=self._limits.max_store_secrets,
        )

    async def _commit(self, caller: Caller, action: str, edit: CollectionEdit, at: int) -> Outcome:
        """Commit an edit of a store's secrets."""
        return await commit_collection(self._store, collection_change(caller, action, edit, at))


def name_of(collection: Collection) -> str:
    """Return a store's own name."""
    return msgspec.json.decode(collection.body, type=StoreBody).name


def metadata_of(secret: Item) -> SecretMetadata:
    """Return the stored fields of a secret other than its value."""
    return msgspec.json.decode(secret.shown, type=SecretMetadata)


def _to_item(secret_id: str, name: str, metadata: SecretMetadata, value: SealedForPlace, at: int) -> Item:
    """Return a new secret in the form of the database."""
    return Item(
        name=name,
        id=secret_id,
        kind=STORED_KIND,
        shown=msgspec.json.encode(metadata),
        created_on=at,
        modified_on=at,
        sealed=value.sealed,
        key_id=value.key_id,
        digest=value.digest,
    )


def _wipe(secret: NewSecret) -> None:
    """Wipe the value of a secret, if it has one."""
    if secret.value is not None:
        secret.value.wipe()
