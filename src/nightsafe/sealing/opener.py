"""Opens stored records, for the delivery process. No sealing code imports this module."""

from typing import Final

from cryptography.exceptions import InvalidTag

from nightsafe.errors import NightsafeError
from nightsafe.sealing.context import Context
from nightsafe.sealing.interfaces import Verifier
from nightsafe.sealing.padding import unpad
from nightsafe.sealing.record import SealedValue, cannot_open
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.rings.public_ring import HPKE
from nightsafe.secret_value import SecretValue


class RecordOpener:
    """The `Opener` with a private ring: it checks the signature first, then opens the seal.

    Args:
        verifier: checks the records' signatures.
        ring: the private ring.
    """

    __slots__ = ("_ring", "_verifier")

    def __init__(self, verifier: Verifier, ring: PrivateRing) -> None:
        self._verifier: Final = verifier
        self._ring: Final = ring

    def open(self, context: Context, record: bytes) -> SecretValue:
        """Open a record in the place where it was found.

        Raises:
            NightsafeError: CANNOT_OPEN, for every reason.
        """
        return self.open_named(context, context, record)

    def open_named(self, signed: Context, sealed: Context, record: bytes) -> SecretValue:
        """Open a record that was signed for a different name than it was sealed to.

        Raises:
            NightsafeError: CANNOT_OPEN, for every reason.
        """
        value = SealedValue.parse(self._verifier.verify(signed, record))
        key = self._ring.get(value.key_id)
        if key is None or key.public.suite is not value.suite:
            raise cannot_open()
        try:
            info = sealed.info(value.value_id, key.id)
            return SecretValue(unpad(HPKE[value.suite].decrypt(value.body, key.loaded, info)))
        except (InvalidTag, ValueError, NightsafeError):
            raise cannot_open() from None
