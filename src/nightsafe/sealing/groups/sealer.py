"""Seals values in groups: one HPKE encapsulation for all values that are sealed within a short time."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

from nightsafe.sealing.context import Context
from nightsafe.sealing.groups.derivation import NONCE, group_info, value_cipher
from nightsafe.sealing.padding import pad
from nightsafe.sealing.record import GROUP_ID_SIZE, GROUP_KEY_SIZE, VALUE_ID_SIZE, SealedValue
from nightsafe.sealing.rings.public_ring import HPKE, PublicKey, PublicRing
from nightsafe.secret_value import SecretValue, wipe

GROUP_SECONDS: Final = 0.02
"""The longest time for which a group takes values."""

GROUP_VALUES: Final = 512
"""The largest number of values in a group."""

Later: TypeAlias = Callable[[float, Callable[[], None]], object]
"""Calls a function after this many seconds, such as `call_later` of an event loop."""


@dataclass(slots=True)
class _Group:
    """The group that the next value joins.

    Attributes:
        id: 16 random bytes.
        key: 32 random bytes.
        packed: the group as each of its values carries it: id, encapsulated key, sealed key.
        until: the time at which it takes no more values.
        left: how many values it still takes.
    """

    id: bytes
    key: SecretValue
    packed: bytes
    until: float
    left: int


class GroupSealer:
    """Seals values to a ring's primary key, in groups: it returns unsigned sealed values of version 2.

    It keeps the key of the present group, and forgets it when the group takes no more values. One thread uses it.

    Args:
        ring: the public ring. A sealer never changes its ring, so that no group outlives its primary key.
        later: calls the sealer back when a group's time is over, so that the sealer forgets the key even if no other
            value follows. Without it, each value is a group of its own.
        clock: the time in seconds; it never goes back.
    """

    __slots__ = ("_clock", "_group", "_later", "_ring")

    def __init__(
        self, ring: PublicRing, later: Later | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ring: Final = ring
        self._later: Final = later
        self._clock: Final = clock
        self._group: _Group | None = None

    def seal(self, context: Context, value: SecretValue) -> bytes:
        """Seal a value so that it opens in this context only.

        Raises:
            NightsafeError: INVALID, when the value is too long or the context is not text.
        """
        key, value_id = self._ring.primary, secrets.token_bytes(VALUE_ID_SIZE)
        try:
            group = self._join_group(key)
            cipher = value_cipher(group.key, context.grouped_info(value_id, key.id, group.id))
            with value.view() as plaintext:
                padded = pad(plaintext)
            body = cipher.encrypt(NONCE, padded, None)
            wipe(padded)
        finally:
            if self._later is None:
                self.forget()
        return SealedValue(key.suite, key.id, value_id, body, group.packed).pack()

    def forget(self) -> None:
        """Overwrite the key of the present group; the next value begins another group."""
        group, self._group = self._group, None
        if group is not None:
            group.key.wipe()

    def _join_group(self, key: PublicKey) -> _Group:
        """Return a group that takes a value, and count the value."""
        group = self._group
        if group is None or not group.left or self._clock() >= group.until:
            self.forget()
            group = self._group = _make_group(key, self._clock() + GROUP_SECONDS)
            if self._later is not None:
                self._later(GROUP_SECONDS, partial(self._end, group))
        group.left -= 1
        return group

    def _end(self, group: _Group) -> None:
        """Forget a group whose time is over, if it is still the present one."""
        if self._group is group:
            self.forget()


def _make_group(key: PublicKey, until: float) -> _Group:
    """Make a group with a new key, sealed to a recipient key."""
    group_id = secrets.token_bytes(GROUP_ID_SIZE)
    group_key = SecretValue(secrets.token_bytes(GROUP_KEY_SIZE))
    with group_key.view() as plaintext:
        sealed = HPKE[key.suite].encrypt(plaintext, key.loaded, group_info(key.id, group_id))
    return _Group(group_id, group_key, group_id + sealed, until, GROUP_VALUES)
