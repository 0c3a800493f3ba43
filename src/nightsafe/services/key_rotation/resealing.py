"""Reseals values after a rotation of recipient keys: hands out values under older keys, and stores the new records.

The API process cannot open a value. A delivery process can: it requests values under older keys and returns them
sealed to the primary key. Each new record replaces the record that it was made from, if that is still stored, and
gets a new signature for the same place. This makes no version, so no script is delivered again because of it.
"""

import asyncio
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

import msgspec
from msgspec import Struct

from nightsafe.audit.entry import AuditEvent, entry_for
from nightsafe.bindings.metadata import public_metadata_of
from nightsafe.bundle.resealing import NewValue, OldValue, OldValues, ResealingResult
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.context import Context
from nightsafe.services.caller import Caller, caller_fields, now
from nightsafe.services.secrets.seal import STORED_KIND, Safe, sealing_ref
from nightsafe.services.secrets_store.stores import SecretMetadata
from nightsafe.store.changes import Change
from nightsafe.store.collections import Kind
from nightsafe.store.interface import Store
from nightsafe.store.sealed_values import Resealed, StoredValue

MAX_VALUES: Final = 64
"""Values in one batch: handling one batch delays other requests by about a millisecond."""

_MAX_BYTES: Final = 512 * 1024


class KeyUse(Struct, frozen=True, kw_only=True):
    """One recipient key.

    Attributes:
        id: its ID.
        suite: its cipher suite; "" for a key that is not in the ring.
        state: its state in the ring, or `unknown` for a key that is not in the ring.
        values: how many values are sealed to it.
    """

    id: str
    suite: str
    state: str
    values: int


class RecordLocation(Struct, frozen=True):
    """The place of a value: the context that its signature covers, and the name in its seal."""

    signed: Context
    sealed_name: str


class Resealing:
    """The use cases of resealing.

    Args:
        store: the store.
        safe: signs the new records.
    """

    def __init__(self, store: Store, safe: Safe) -> None:
        self._store = store
        self._safe = safe

    async def keys(self, account_id: str) -> list[KeyUse]:
        """Return the keys of the ring with the number of values sealed to each.

        Keys that are not in the ring follow if values are sealed to them.
        """
        ring = {key.id: (key.suite.value, key.state.value) for key in self._safe.ring.keys}
        unknown_keys = [key_id for key_id in await self._store.keys_in_use(account_id) if key_id not in ring]
        return [
            KeyUse(id=key_id, suite=suite, state=state, values=await self._store.count_values(account_id, key_id))
            for key_id, (suite, state) in (ring | dict.fromkeys(unknown_keys, ("", "unknown"))).items()
        ]

    async def old_values(self, account_id: str, after: str, limit: int = MAX_VALUES) -> OldValues:
        """Return values that are sealed to other keys than the primary.

        Args:
            account_id: the account.
            after: `OldValues.next` of the previous batch; "" for the first one.
            limit: the largest number of values to return.

        Raises:
            NightsafeError: INVALID, if `after` is not a `next` that was returned.
        """
        primary = self._safe.ring.primary.id
        key_from, _, mark = after.partition(":")
        older = [key_id for key_id in await self._store.keys_in_use(account_id) if key_id != primary]
        waiting = None if after else sum([await self._store.count_values(account_id, key_id) for key_id in older])
        for key_id in older:
            if key_id < key_from:
                continue
            after_mark = mark if key_id == key_from else ""
            page = await self._store.values_under(
                account_id, key_id, after=after_mark, limit=limit, max_bytes=_MAX_BYTES
            )
            if page:
                values = tuple(_to_old_value(value) for value in page)
                return OldValues(primary=primary, values=values, next=f"{key_id}:{page[-1].mark}", waiting=waiting)
        return OldValues(primary=primary, values=(), next="", waiting=waiting)

    async def store(self, caller: Caller, account_id: str, values: Sequence[NewValue]) -> ResealingResult:
        """Replace values under older keys with resealed values.

        Raises:
            NightsafeError: INVALID, if one is not a sealed value or is sealed to another key than the primary;
                UNAVAILABLE, if that key was retired in the meantime. Nothing is stored then.
        """
        places: list[str] = []
        signed: list[Resealed] = []
        refused = 0
        for value in values:
            before = await self._store.value(account_id, value.mark)
            if before is None or not self._is_old(before) or sha256(before.record).digest() != value.before:
                continue
            try:
                new = self._safe.check_resealed(location_of_value(before).signed, before.record, value.sealed)
            except NightsafeError as error:
                if error.code is not Code.CANNOT_OPEN:
                    raise
                refused += 1
                continue
            signed.append(
                Resealed(
                    mark=value.mark, before=before.sealed, sealed=new.sealed, key_id=new.key_id, digest=new.digest
                )
            )
            places.append(name_in_log(before))
            await asyncio.sleep(0)  # a check and a signature hold the interpreter for a fifth of a millisecond
        resealed = await self._commit(caller, account_id, signed, places) if signed else 0
        return ResealingResult(resealed=resealed, changed=len(values) - refused - resealed, refused=refused)

    def _is_old(self, value: StoredValue) -> bool:
        """Return whether a value must be resealed. A caller's value may replace only such a value."""
        return value.key_id != self._safe.ring.primary.id

    async def _commit(
        self, caller: Caller, account_id: str, signed: Sequence[Resealed], places: Sequence[str]
    ) -> int:
        """Store records with one log entry that names their places, and return how many records were replaced."""
        at = now()
        event = AuditEvent(
            **caller_fields(caller),
            at=at,
            action="keys.reseal",
            account_id=account_id,
            resource=signed[0].key_id,
            set=tuple(places),
        )
        outcome = await self._store.commit(Change(at=at, audit=entry_for(event), reseal=tuple(signed)))
        return len(outcome.resealed)


def location_of_value(value: StoredValue) -> RecordLocation:
    """Return the place that a value was sealed and signed for.

    Raises:
        NightsafeError: CANNOT_OPEN, if the public fields of the value have another form than this program writes.
    """
    namespace, sealed_name, kind = value.namespace, value.name, value.kind
    try:
        public = public_metadata_of(value.kind, value.shown)
        if value.collection is not None:
            namespace = sealing_ref(value.collection, value.account_id, value.owner, value.environment).namespace
        if value.collection is Kind.SECRETS_STORE:
            sealed_name, kind = msgspec.json.decode(value.shown, type=SecretMetadata).sealed_name, STORED_KIND
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError):
        raise NightsafeError(
            Code.CANNOT_OPEN, "the database holds a value that was not written by this program"
        ) from None
    signed = Context(
        account_id=value.account_id,
        namespace=namespace,
        script=value.owner,
        name=value.name,
        kind=kind,
        public=public,
    )
    return RecordLocation(signed, sealed_name)


def _to_old_value(value: StoredValue) -> OldValue:
    """Return a value as it is handed out.

    If its place cannot be determined, return it with an empty place, so that it does not open.
    """
    try:
        location = location_of_value(value)
    except NightsafeError:
        location = RecordLocation(Context(account_id=value.account_id, namespace="", script="", name="", kind=""), "")
    signed = location.signed
    return OldValue(
        mark=value.mark,
        namespace=signed.namespace,
        script=signed.script,
        name=signed.name,
        sealed_name=location.sealed_name,
        kind=signed.kind,
        public=signed.public,
        record=value.record,
    )


def name_in_log(value: StoredValue) -> str:
    """Return the name of a value in the log: the parts of its place with slashes between them."""
    parts = (value.collection, value.namespace, value.owner, value.environment, value.name)
    return "/".join(part for part in parts if part)
