"""Sealing with the ring as its file has it at that moment: what a server does that runs through a rotation."""

from collections.abc import Collection
from typing import Final

from nightsafe.sealing.context import Context
from nightsafe.sealing.reloading.key_file import Reloading
from nightsafe.sealing.rings.public_ring import PublicRing
from nightsafe.sealing.sealer import ApiSigner, SigningSealer
from nightsafe.secret_value import SecretValue


class ReloadingSealer:
    """A `SigningSealer` whose ring is that of a file.

    Args:
        ring: the public ring's file.
        signer: vouches for what is stored.
    """

    __slots__ = ("_ring", "_sealer", "_signer")

    def __init__(self, ring: Reloading[PublicRing], signer: ApiSigner) -> None:
        self._ring: Final = ring
        self._signer: Final = signer
        self._sealer = SigningSealer(ring.current(), signer)

    @property
    def ring(self) -> PublicRing:
        """The ring that new values are sealed with."""
        return self._now().ring

    @property
    def id(self) -> str:
        """The signer id."""
        return self._signer.id

    def refuse(self, key_ids: Collection[str], source: str = "public ring") -> None:
        """Seal nothing to these keys, nor take what clients have sealed to them, whatever the file says.

        Raises:
            NightsafeError: INVALID, when the file's primary is among them.
        """
        self._sealer = SigningSealer(self._ring.amend(lambda ring: ring.retiring(key_ids, source)), self._signer)

    def sign_message(self, message: bytes) -> bytes:
        """As `SigningSealer.sign_message`."""
        return self._signer.sign_message(message)

    def seal(self, context: Context, value: SecretValue) -> bytes:
        """As `SigningSealer.seal`."""
        return self._now().seal(context, value)

    def countersign(self, context: Context, sealed: bytes) -> bytes:
        """As `SigningSealer.countersign`."""
        return self._now().countersign(context, sealed)

    def _now(self) -> SigningSealer:
        """With the ring of this moment."""
        ring = self._ring.current()
        if ring is not self._sealer.ring:
            self._sealer = SigningSealer(ring, self._signer)
        return self._sealer
