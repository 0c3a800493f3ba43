"""What an operator at the machine does with recipient keys in the database: counts what is under them, retires them.

Keys belong to the safe as a whole, so all accounts count.
"""

from collections import Counter

from msgspec import Struct

from nightsafe.audit.entry import AuditEvent, entry_for
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.rings.public_ring import PublicRing
from nightsafe.sealing.rings.ring_file import check_not_older
from nightsafe.services.caller import now
from nightsafe.store.changes import Change
from nightsafe.store.interface import Store
from nightsafe.store.sealed_values import Retirement


class Known(Struct, frozen=True, kw_only=True):
    """What the database knows of recipient keys.

    Attributes:
        number: the greatest number of a public ring that was in use.
        retired: ids of keys that take no new values, those that were removed among them.
        values: how many values are sealed to each key, of those that any are sealed to.
    """

    number: int = 0
    retired: frozenset[str] = frozenset()
    values: dict[str, int] = {}


async def known_of(store: Store) -> Known:
    """What the database knows."""
    return Known(
        number=await store.ring_number(),
        retired=frozenset(await store.retired_keys()),
        values=await values_by_key(store),
    )


async def take_ring(store: Store, ring: PublicRing, source: str = "public ring") -> None:
    """Remember the number of a ring that is taken into use, so that no older one ever is again.

    Raises:
        NightsafeError: INVALID, when this is an older one.
    """
    known = await store.ring_number()
    check_not_older(source, ring.number, known)
    if ring.number == known:
        return
    at, primary = now(), ring.primary.id
    event = AuditEvent(at=at, action="keys.ring", actor="", actor_kind="operator", account_id="", resource=primary)
    await store.commit(Change(at=at, audit=entry_for(event), ring_number=ring.number))


async def values_by_key(store: Store) -> dict[str, int]:
    """How many values are sealed to each key, of those that any are sealed to."""
    counts: Counter[str] = Counter()
    for account in await store.accounts():
        for key_id in await store.keys_in_use(account.id):
            counts[key_id] += await store.count_values(account.id, key_id)
    return dict(counts)


async def retire_key(store: Store, key_id: str, *, in_use: bool = False) -> None:
    """Let a key take no new values from now on.

    Args:
        store: where the values are.
        key_id: which key.
        in_use: also while values are sealed to it.

    Raises:
        NightsafeError: KEY_IN_USE, with how many there are and what to do.
    """
    at = now()
    event = AuditEvent(at=at, action="keys.retire", actor="", actor_kind="operator", account_id="", resource=key_id)
    retirement = Retirement(key_id=key_id, in_use=in_use)
    try:
        await store.commit(Change(at=at, audit=entry_for(event), retire=retirement))
    except NightsafeError as error:
        if error.code is not Code.KEY_IN_USE:
            raise
        raise _in_use(key_id, (await values_by_key(store)).get(key_id, 0)) from None


async def refuse_in_use(store: Store, key_id: str) -> None:
    """Refuse a key that values are sealed to.

    Raises:
        NightsafeError: KEY_IN_USE, with how many there are and what to do.
    """
    count = (await values_by_key(store)).get(key_id, 0)
    if count:
        raise _in_use(key_id, count)


def _in_use(key_id: str, count: int) -> NightsafeError:
    """The refusal of a key that values are sealed to."""
    return NightsafeError(
        Code.KEY_IN_USE,
        f"{count} values are sealed to the key {key_id}: let the delivery side seal them anew first (nightsafe run,"
        " nightsafe deliver or nightsafe keys reseal); nightsafe keys status shows how far it is",
    )
