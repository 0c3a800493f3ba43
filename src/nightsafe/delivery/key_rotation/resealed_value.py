"""Reseals one value: opens it for its place and seals it for the same place to another key of the same ring."""

from hashlib import sha256
from typing import Protocol

from msgspec.structs import replace

from nightsafe.bundle.resealing import NewValue, OldValue
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.context import Context
from nightsafe.sealing.groups.sealer import GroupSealer
from nightsafe.sealing.interfaces import Opener
from nightsafe.sealing.rings.private_ring import PrivateKey, PrivateRing
from nightsafe.sealing.rings.public_ring import PublicKey, PublicRing
from nightsafe.sealing.rings.ring_file import State
from nightsafe.secret_value import SecretValue


class RingOpener(Opener, Protocol):
    """An opener whose ring can be read."""

    @property
    def ring(self) -> PrivateRing:
        """The current ring."""
        ...


class BatchSealer:
    """Seals the values of one batch, in a group of their own. At the end, `forget` overwrites the group's key."""

    def __init__(self) -> None:
        self._key: PublicKey | None = None
        self._sealer: GroupSealer | None = None

    def seal(self, key: PublicKey, context: Context, value: SecretValue) -> bytes:
        """Seal a value to a key. Another key than the previous one begins another group."""
        if self._sealer is None or key != self._key:
            self.forget()
            self._key, self._sealer = key, GroupSealer(PublicRing([key]), _no_timer, _stopped_clock)
        return self._sealer.seal(context, value)

    def forget(self) -> None:
        """Overwrite the key of the group."""
        if self._sealer is not None:
            self._sealer.forget()


def reseal_value(account_id: str, value: OldValue, primary: str, opener: RingOpener, batch: BatchSealer) -> NewValue:
    """Reseal a value.

    The API names the key to seal to, but the key must be in the private ring: nothing is ever sealed to a stranger's
    key.

    Args:
        account_id: the account that the value belongs to.
        value: the value from the API; only the signed parts of it are trusted.
        primary: id of the key to seal to.
        opener: opens the value; it has the private ring.
        batch: seals the values that are returned together.

    Raises:
        NightsafeError: CANNOT_OPEN, when the value does not open for the place that the API names; INVALID, when the
            key is not in the private ring, or retired there.
    """
    key = _usable_key(opener.ring, primary).in_state(State.PRIMARY).public
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
        sealed = batch.seal(key, sealed_context, opened)
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


def _no_timer(_seconds: float, _call: object) -> None:
    """Start no timer: the end of the batch ends its group."""


def _stopped_clock() -> float:
    """Return the same time always, so that a group lasts as long as its batch."""
    return 0.0
