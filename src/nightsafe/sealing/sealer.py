"""Seals values, for clients and for the API process. Neither can open anything."""

import secrets
from typing import Final

from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.context import Context
from nightsafe.sealing.groups.sealer import GroupSealer, Later
from nightsafe.sealing.interfaces import MessageSigner
from nightsafe.sealing.padding import pad
from nightsafe.sealing.record import VALUE_ID_SIZE, SealedValue
from nightsafe.sealing.rings.public_ring import HPKE, PublicRing
from nightsafe.sealing.rings.ring_file import State
from nightsafe.secret_value import SecretValue, wipe


class RingSealer:
    """Seals values to a ring's primary key, for clients: it returns unsigned sealed values of version 1.

    Args:
        ring: the public ring.
    """

    __slots__ = ("_ring",)

    def __init__(self, ring: PublicRing) -> None:
        self._ring: Final = ring

    def seal(self, context: Context, value: SecretValue) -> bytes:
        """Seal a value so that it opens in this context only.

        Raises:
            NightsafeError: INVALID, when the value is too long or the context is not text.
        """
        key = self._ring.primary
        value_id = secrets.token_bytes(VALUE_ID_SIZE)
        info = context.info(value_id, key.id)
        with value.view() as plaintext:
            padded = pad(plaintext)
        body = HPKE[key.suite].encrypt(padded, key.loaded, info)
        wipe(padded)
        return SealedValue(key.suite, key.id, value_id, body).pack()


class SigningSealer:
    """The `Sealer` of the API process, which also signs messages.

    Args:
        ring: the public ring.
        signer: signs messages to the delivery process.
        later: see `GroupSealer`. Without it, each value is a group of its own.
    """

    __slots__ = ("_sealer", "_signer", "ring")

    def __init__(self, ring: PublicRing, signer: MessageSigner, later: Later | None = None) -> None:
        self.ring: Final = ring
        self._sealer: Final = GroupSealer(ring, later)
        self._signer: Final = signer

    @property
    def id(self) -> str:
        """The signer id."""
        return self._signer.id

    def sign_message(self, message: bytes) -> bytes:
        """Sign a message that begins with its own tag; return the 64 bytes of the signature."""
        return self._signer.sign_message(message)

    def seal(self, context: Context, value: SecretValue) -> bytes:
        """Seal a value so that it opens in this context only.

        Raises:
            NightsafeError: INVALID, when the value is too long or the context is not text.
        """
        return self._sealer.seal(context, value)

    def forget(self) -> None:
        """Overwrite the key of the present group of values."""
        self._sealer.forget()

    def check(self, sealed: bytes) -> None:
        """Refuse a value that the delivery process certainly could not open, now or before long.

        Args:
            sealed: any bytes at all.

        Raises:
            NightsafeError: INVALID, when the bytes are not a sealed value, or its key does not accept new values.
        """
        try:
            parsed = SealedValue.parse(sealed)
        except NightsafeError:
            raise NightsafeError(Code.INVALID, "not a sealed value of a known version and suite") from None
        key = self.ring.get(parsed.key_id)
        if key is None or key.suite is not parsed.suite:
            raise NightsafeError(Code.INVALID, f"sealed to a key that is not in the ring: {parsed.key_id}")
        if key.state is State.RETIRED:
            raise NightsafeError(
                Code.INVALID, f"sealed to a retired key: {key.id}; seal it to {self.ring.primary.id}"
            )
