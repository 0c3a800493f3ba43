"""Opens stored records, for the delivery process. No sealing code imports this module."""

from typing import Final

from cryptography.exceptions import InvalidTag

from nightsafe.errors import NightsafeError
from nightsafe.sealing.context import Context
from nightsafe.sealing.groups.derivation import NONCE, value_cipher
from nightsafe.sealing.groups.key_cache import GroupKeyCache
from nightsafe.sealing.interfaces import Verifier
from nightsafe.sealing.padding import unpad
from nightsafe.sealing.record import SealedValue, cannot_open
from nightsafe.sealing.rings.private_ring import PrivateKey, PrivateRing
from nightsafe.sealing.rings.public_ring import HPKE
from nightsafe.secret_value import SecretValue


class RecordOpener:
    """The `Opener` with a private ring: it checks the signature first, then opens the seal.

    Args:
        verifier: checks the records' signatures.
        ring: the private ring.
    """

    __slots__ = ("_groups", "_ring", "_verifier")

    def __init__(self, verifier: Verifier, ring: PrivateRing) -> None:
        self._verifier: Final = verifier
        self._ring: Final = ring
        self._groups: Final = GroupKeyCache()

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
            return SecretValue(unpad(self._decrypt(value, key, sealed)))
        except (InvalidTag, ValueError, NightsafeError):
            raise cannot_open() from None

    def forget(self) -> None:
        """Wipe the keys of the groups of values that were opened."""
        self._groups.forget()

    def _decrypt(self, value: SealedValue, key: PrivateKey, context: Context) -> bytes:
        """Return the padded value.

        Raises:
            InvalidTag: when the value does not open.
            ValueError: when the encapsulated key is not valid.
            NightsafeError: INVALID, when the context is not text.
        """
        if not value.group:
            return HPKE[value.suite].decrypt(value.body, key.loaded, context.info(value.value_id, key.id))
        group_key = self._groups.open(key, value.group)
        info = context.grouped_info(value.value_id, key.id, value.group_id)
        return value_cipher(group_key, info).decrypt(NONCE, value.body, None)
