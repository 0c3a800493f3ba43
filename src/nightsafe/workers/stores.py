"""The account's Secrets Store: stores, and secrets that many Workers may be bound to.

A store is a holder whose name is its id: paths and bindings name it so, and nobody can give the id of one that was
deleted to another. Its own name stands in the body.
Source: `secrets_store/stores` in the Cloudflare v4 API's specification.
"""

import asyncio
from collections.abc import Sequence

import msgspec
from msgspec import Struct, UnsetType
from msgspec.structs import replace

from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.record import key_id_of
from nightsafe.store.holding import Entry, Holder, HolderEdit, Kind, Put
from nightsafe.store.interfaces import Store
from nightsafe.store.model import Outcome, ScriptRef
from nightsafe.workers.caller import Caller, holder_change, now
from nightsafe.workers.holders import commit_hold, new_id
from nightsafe.workers.limits import Limits
from nightsafe.workers.seal import STORED_KIND, Safe, place_of
from nightsafe.workers.store_fields import NewSecret, SecretPatch

_KIND = Kind.SECRETS_STORE


class StoreBody(Struct, frozen=True):
    """What is kept of a store beside its id."""

    name: str


class SecretNote(Struct, frozen=True):
    """What is kept of a secret beside its value.

    Attributes:
        scopes: the services that it is for.
        comment: free text.
        sealed_name: what stands for the name in the seal: the id of the secret with which the value first came. It
            never changes, so that no two writes can part a value from it.
    """

    scopes: tuple[str, ...]
    comment: str
    sealed_name: str


class _NoteChange(Struct, frozen=True):
    """What a patch names of a secret's note; `sealed_name` is never among it."""

    scopes: tuple[str, ...] | UnsetType
    comment: str | UnsetType


class Stores:
    """The use cases. Values pass through to the safe and are wiped there."""

    def __init__(self, store: Store, safe: Safe, limits: Limits) -> None:
        self._store = store
        self._safe = safe
        self._limits = limits

    async def list(self, account_id: str) -> Sequence[Holder]:
        """Every store of an account."""
        return await self._store.holders(account_id, _KIND)

    async def get(self, account_id: str, store_id: str) -> Holder:
        """One store.

        Raises:
            NightsafeError: STORE_NOT_FOUND.
        """
        holder = await self._store.holder(account_id, _KIND, store_id)
        if holder is None:
            raise NightsafeError(Code.STORE_NOT_FOUND)
        return holder

    async def create(self, caller: Caller, account_id: str, name: str) -> Holder:
        """Make a store.

        Raises:
            NightsafeError: HOLDER_TAKEN, when another one has the name; TOO_MANY_HOLDERS.
        """
        if any(name_of(holder) == name for holder in await self.list(account_id)):
            raise NightsafeError(Code.HOLDER_TAKEN, name)
        at, store_id = now(), new_id()
        body = msgspec.json.encode(StoreBody(name))
        holder = Holder(
            account_id=account_id, kind=_KIND, name=store_id, id=store_id, body=body, created_on=at, modified_on=at
        )
        edit = HolderEdit(
            account_id=account_id, kind=_KIND, name=store_id, create=holder, max_holders=self._limits.max_stores
        )
        await commit_hold(self._store, holder_change(caller, "stores.create", edit, at))
        return holder

    async def delete(self, caller: Caller, account_id: str, store_id: str, *, force: bool) -> None:
        """Delete a store; with secrets in it only by force.

        Raises:
            NightsafeError: STORE_NOT_FOUND, HOLDER_NOT_EMPTY.
        """
        edit = HolderEdit(account_id=account_id, kind=_KIND, name=store_id, remove=True, only_empty=not force)
        await commit_hold(self._store, holder_change(caller, "stores.delete", edit, now()))

    async def usage(self, account_id: str) -> int:
        """How many secrets the stores of an account hold together."""
        return sum([len(await self._store.entries(account_id, one.id)) for one in await self.list(account_id)])

    async def secrets(self, account_id: str, store_id: str) -> Sequence[Entry]:
        """Every secret of a store, by name.

        Raises:
            NightsafeError: STORE_NOT_FOUND.
        """
        return await self._store.entries(account_id, (await self.get(account_id, store_id)).id)

    async def secret(self, account_id: str, store_id: str, secret_id: str) -> Entry:
        """One secret of a store.

        Raises:
            NightsafeError: STORE_NOT_FOUND, STORE_SECRET_NOT_FOUND.
        """
        every = await self.secrets(account_id, store_id)
        found = next((secret for secret in every if secret.id == secret_id), None)
        if found is None:
            raise NightsafeError(Code.STORE_SECRET_NOT_FOUND)
        return found

    async def put_new(
        self, caller: Caller, account_id: str, store_id: str, secrets: Sequence[NewSecret]
    ) -> Sequence[Entry]:
        """Make secrets, all or none; gives them in their order.

        Raises:
            NightsafeError: STORE_NOT_FOUND, STORE_SECRET_TAKEN, TOO_MANY_ENTRIES.
        """
        at, place = now(), place_of(_KIND, account_id, store_id)
        entries = []
        try:
            for secret in secrets:
                entries.append(self._entry(place, new_id(), secret, at))
                await asyncio.sleep(0)
        finally:
            for secret in secrets:
                _wipe(secret)
        await self._commit(caller, "stores.secrets.create", self._put(place, entries, Put.NEW), at)
        return entries

    async def edit(self, caller: Caller, account_id: str, store_id: str, secret_id: str, patch: SecretPatch) -> Entry:
        """Change a secret: what the patch does not name stays.

        Raises:
            NightsafeError: STORE_NOT_FOUND, STORE_SECRET_NOT_FOUND.
        """
        secret = await self.secret(account_id, store_id, secret_id)
        at, place = now(), place_of(_KIND, account_id, store_id)
        record = None
        if patch.value is not None:
            record = self._safe.seal_stored(place, secret.name, note_of(secret).sealed_name, patch.value)
        entry = replace(
            secret,
            shown=msgspec.json.encode(_NoteChange(patch.scopes, patch.comment)),
            modified_on=at,
            sealed=record,
            key_id=None if record is None else key_id_of(record),
        )
        edit = replace(self._put(place, [entry], Put.PRESENT), amend=True)
        outcome = await self._commit(caller, "stores.secrets.edit", edit, at)
        return next(one for one in outcome.entries if one.id == secret_id)

    async def duplicate(
        self, caller: Caller, account_id: str, store_id: str, secret_id: str, wanted: NewSecret
    ) -> Entry:
        """Make a secret with the value of another, which nobody has to know for it.

        Raises:
            NightsafeError: STORE_NOT_FOUND, STORE_SECRET_NOT_FOUND, STORE_SECRET_TAKEN, TOO_MANY_ENTRIES; INVALID,
                when the value is sealed to a key that takes no new values.
        """
        secret = await self.secret(account_id, store_id, secret_id)
        if secret.sealed is None:
            raise NightsafeError(Code.CANNOT_OPEN, "a secret of a store without a record")
        at, place = now(), place_of(_KIND, account_id, store_id)
        record = self._safe.rename_stored(place, secret.name, wanted.name, secret.sealed)
        note = SecretNote(wanted.scopes, wanted.comment, note_of(secret).sealed_name)
        entry = _stored(new_id(), wanted.name, note, record, at)
        await self._commit(caller, "stores.secrets.duplicate", self._put(place, [entry], Put.NEW), at)
        return entry

    async def drop(
        self, caller: Caller, account_id: str, store_id: str, secret_ids: Sequence[str]
    ) -> Sequence[Entry]:
        """Delete secrets, all or none; gives what they were.

        Raises:
            NightsafeError: STORE_NOT_FOUND, STORE_SECRET_NOT_FOUND.
        """
        every = {secret.id: secret for secret in await self.secrets(account_id, store_id)}
        wanted = dict.fromkeys(secret_ids)
        if not every.keys() >= wanted.keys():
            raise NightsafeError(Code.STORE_SECRET_NOT_FOUND)
        gone = [every[secret_id] for secret_id in wanted]
        edit = HolderEdit(
            account_id=account_id,
            kind=_KIND,
            name=store_id,
            drop=tuple((secret.slot, secret.name) for secret in gone),
            require_drop=True,
        )
        await self._commit(caller, "stores.secrets.delete", edit, now())
        return gone

    def _entry(self, place: ScriptRef, secret_id: str, secret: NewSecret, at: int) -> Entry:
        """A new secret with its value sealed to its own id."""
        if secret.value is None:
            raise NightsafeError(Code.INVALID, "a secret needs a value")
        record = self._safe.seal_stored(place, secret.name, secret_id, secret.value)
        return _stored(secret_id, secret.name, SecretNote(secret.scopes, secret.comment, secret_id), record, at)

    def _put(self, place: ScriptRef, entries: Sequence[Entry], over: Put) -> HolderEdit:
        """The edit that puts entries into a store."""
        return HolderEdit(
            account_id=place.account_id,
            kind=_KIND,
            name=place.name,
            put=tuple(entries),
            over=over,
            max_entries=self._limits.max_store_secrets,
        )

    async def _commit(self, caller: Caller, action: str, edit: HolderEdit, at: int) -> Outcome:
        """Commit an edit of a store's secrets."""
        return await commit_hold(self._store, holder_change(caller, action, edit, at))


def name_of(holder: Holder) -> str:
    """A store's own name."""
    return msgspec.json.decode(holder.body, type=StoreBody).name


def note_of(secret: Entry) -> SecretNote:
    """What is kept of a secret beside its value."""
    return msgspec.json.decode(secret.shown, type=SecretNote)


def _stored(secret_id: str, name: str, note: SecretNote, record: bytes, at: int) -> Entry:
    """A new secret as it is kept."""
    return Entry(
        name=name,
        id=secret_id,
        kind=STORED_KIND,
        shown=msgspec.json.encode(note),
        created_on=at,
        modified_on=at,
        sealed=record,
        key_id=key_id_of(record),
    )


def _wipe(secret: NewSecret) -> None:
    """Overwrite the value, if it is still there."""
    if secret.value is not None:
        secret.value.wipe()
