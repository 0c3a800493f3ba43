"""Reseals one value: opens it for its place and seals it for the same place to another key of the same ring."""

from functools import lru_cache
from hashlib import sha256

from msgspec.structs import replace

from nightsafe.bundle.resealing import NewValue, OldValue
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.context import Context
from nightsafe.sealing.interfaces import Opener
from nightsafe.sealing.rings.private_ring import PrivateKey, PrivateRing
from nightsafe.sealing.rings.public_ring import PublicKey, PublicRing
from nightsafe.sealing.rings.ring_file import State
from nightsafe.sealing.sealer import RingSealer


def reseal_value(account_id: str, value: OldValue, primary: str, opener: Opener, ring: PrivateRing) -> NewValue:
    """Reseal a value.

    The API names the key to seal to, but the key must be in the private ring: nothing is ever sealed to a stranger's
    key.

    Args:
        account_id: the account that the value belongs to.
        value: the value from the API; only the signed parts of it are trusted.
        primary: id of the key to seal to.
        opener: opens the value.
        ring: the private ring.

    Raises:
        NightsafeError: CANNOT_OPEN, when the value does not open for the place that the API names; INVALID, when the
            key is not in the private ring, or retired there.
    """
    sealer = _sealer(_usable_key(ring, primary).in_state(State.PRIMARY).public)
    signed_context = Context(
        account_id=account_id,
        namespace=value.namespace,
        script=value.script,
        name=value.name,
        kind=value.kind,
        public=value.public,
    )
    sealed_context = replace(signed_context, name=value.sealed_name)
    opened = opener.open_named(signed_context, sealed_context, value.record)
    try:
        sealed = sealer.seal(sealed_context, opened)
    finally:
        opened.wipe()
    return NewValue(mark=value.mark, before=sha256(value.record).digest(), sealed=sealed)


def _usable_key(ring: PrivateRing, key_id: str) -> PrivateKey:
    """Return the key to seal to; raise NightsafeError INVALID if it may not be used."""
    key = ring.get(key_id)
    if key is None:
        raise NightsafeError(
            Code.INVALID,
            f"the API's primary key {key_id} is not in the private ring: make the private ring and the API's public"
            " ring match (nightsafe keys)",
        )
    if key.state is State.RETIRED:
        raise NightsafeError(
            Code.INVALID,
            f"the API's primary key {key_id} is retired in the private ring: give the API the current public ring",
        )
    return key


@lru_cache(maxsize=1)
def _sealer(key: PublicKey) -> RingSealer:
    """Return a sealer for one key, cached for the next value."""
    return RingSealer(PublicRing([key]))
