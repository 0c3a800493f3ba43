"""Seals values with the current content of the ring's file, so that a server works through a rotation."""

from collections.abc import Collection
from typing import Final

from nightsafe.sealing.context import Context
from nightsafe.sealing.interfaces import Signer
from nightsafe.sealing.reloading.key_file import ReloadedFile
from nightsafe.sealing.rings.public_ring import PublicRing
from nightsafe.sealing.sealer import SigningSealer
from nightsafe.secret_value import SecretValue


class ReloadingSealer:
    """A `SigningSealer` that takes its ring from a file.

    Args:
        ring: the public ring's file.
        signer: signs the stored records, and messages to the delivery process.
    """

    __slots__ = ("_ring", "_sealer", "_signer")

    def __init__(self, ring: ReloadedFile[PublicRing], signer: Signer) -> None:
        self._ring: Final = ring
        self._signer: Final = signer
        self._sealer = SigningSealer(ring.current(), signer)

    @property
    def ring(self) -> PublicRing:
        """The ring that seals new values."""
        return self._current_sealer().ring

    @property
    def id(self) -> str:
        """The signer id."""
        return self._signer.id

    def refuse(self, key_ids: Collection[str], source: str = "public ring") -> None:
        """Stop sealing to these keys and accepting values that clients sealed to them, regardless of the file.

        Raises:
            NightsafeError: INVALID, when the file's primary is among these keys.
        """
        self._sealer = SigningSealer(
            self._ring.replace_until_change(lambda ring: ring.with_retired(key_ids, source)), self._signer
        )

    def sign_message(self, message: bytes) -> bytes:
        """Do the same as `SigningSealer.sign_message`."""
        return self._signer.sign_message(message)

    def seal(self, context: Context, value: SecretValue) -> bytes:
        """Do the same as `SigningSealer.seal`."""
        return self._current_sealer().seal(context, value)

    def countersign(self, context: Context, sealed: bytes) -> bytes:
        """Do the same as `SigningSealer.countersign`."""
        return self._current_sealer().countersign(context, sealed)

    def _current_sealer(self) -> SigningSealer:
        """Return a sealer with the current ring."""
        ring = self._ring.current()
        if ring is not self._sealer.ring:
            self._sealer = SigningSealer(ring, self._signer)
        return self._sealer
