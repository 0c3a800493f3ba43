"""Counts the values of recipient keys, and retires keys, for an operator at the machine.

Keys belong to the whole safe, so the counts include all accounts.
"""

from collections import Counter
from typing import Final

import msgspec
from msgspec import Struct

from nightsafe.audit.entry import AuditEvent, entry_for
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.rings.public_ring import PublicRing
from nightsafe.sealing.rings.ring_file import check_not_older
from nightsafe.services.caller import now
from nightsafe.store.changes import Change
from nightsafe.store.interface import Store
from nightsafe.store.sealed_values import Retirement

_EVENT: Final = msgspec.json.Decoder(AuditEvent)
_NO_NUMBER: Final = 1 << 62
_MOST_ENTRIES: Final = 2000
"""How many entries that belong to no account are read, from the newest on, to find the last ring."""


class RecipientKeyRecord(Struct, frozen=True, kw_only=True):
    """The database's record of recipient keys.

    Attributes:
        number: the highest number of a public ring that was in use.
        retired: IDs of keys that accept no new values, including removed keys.
        values: how many values are sealed to each key; keys without values are left out.
    """

    number: int = 0
    retired: frozenset[str] = frozenset()
    values: dict[str, int] = {}


async def recipient_key_record(store: Store) -> RecipientKeyRecord:
    """Return the database's record of recipient keys."""
    return RecipientKeyRecord(
        number=await store.ring_number(),
        retired=frozenset(await store.retired_keys()),
        values=await values_by_key(store),
    )


async def record_ring(store: Store, ring: PublicRing, source: str = "public ring") -> None:
    """Record the number of a ring that comes into use, so that no older ring is ever used again.

    Raises:
        NightsafeError: INVALID, if this ring is older than one already used, or another one with the same number.
    """
    current = await store.ring_number()
    check_not_older(source, ring.number, current)
    if ring.number == current:
        recorded = await _recorded_primary(store) if current else ""
        if recorded not in {"", ring.primary.id}:
            raise NightsafeError(
                Code.INVALID,
                f"{source}: it has the number {current}, as the ring in use, but its primary key is {ring.primary.id}"
                f" and that of the ring in use is {recorded}: it belongs to another safe, so that no delivery process"
                " could open what is sealed to it. Restore this safe's public ring from a backup, or from the machine"
                " of the private ring",
            )
        return
    at, primary = now(), ring.primary.id
    event = AuditEvent(at=at, action="keys.ring", actor="", actor_kind="operator", account_id="", resource=primary)
    await store.commit(Change(at=at, audit=entry_for(event), ring_number=ring.number))


async def _recorded_primary(store: Store) -> str:
    """Return the primary key of the last ring that the log names; "" if that entry is not found."""
    number = await store.audit_number_before("", _NO_NUMBER)
    for _ in range(_MOST_ENTRIES):
        if number is None:
            break
        for _, entry in await store.audit_between("", number, number):
            event = _EVENT.decode(entry.entry) if entry.is_intact else None
            if event is not None and event.action == "keys.ring":
                return event.resource
        number = await store.audit_number_before("", number)
    return ""


async def values_by_key(store: Store) -> dict[str, int]:
    """Return how many values are sealed to each key; keys without values are left out."""
    counts: Counter[str] = Counter()
    for account in await store.accounts():
        for key_id in await store.keys_in_use(account.id):
            counts[key_id] += await store.count_values(account.id, key_id)
    return dict(counts)


async def retire_key(store: Store, key_id: str, *, in_use: bool = False) -> None:
    """Retire a key: it accepts no new values from now on.

    Args:
        store: holds the values.
        key_id: ID of the key.
        in_use: retire it even if values are sealed to it.

    Raises:
        NightsafeError: KEY_IN_USE, with the number of values and what to do.
    """
    at = now()
    event = AuditEvent(at=at, action="keys.retire", actor="", actor_kind="operator", account_id="", resource=key_id)
    retirement = Retirement(key_id=key_id, in_use=in_use)
    try:
        await store.commit(Change(at=at, audit=entry_for(event), retire=retirement))
    except NightsafeError as error:
        if error.code is not Code.KEY_IN_USE:
            raise
        raise _in_use_error(key_id, (await values_by_key(store)).get(key_id, 0)) from None


async def refuse_in_use(store: Store, key_id: str) -> None:
    """Refuse a key that values are sealed to.

    Raises:
        NightsafeError: KEY_IN_USE, with the number of values and what to do.
    """
    count = (await values_by_key(store)).get(key_id, 0)
    if count:
        raise _in_use_error(key_id, count)


def _in_use_error(key_id: str, count: int) -> NightsafeError:
    """Return the refusal of a key that values are sealed to."""
    return NightsafeError(
        Code.KEY_IN_USE,
        f"{count} values are sealed to the key {key_id}: let a delivery process reseal them first (nightsafe run,"
        " nightsafe deliver or nightsafe keys reseal); nightsafe keys status shows its progress",
    )
