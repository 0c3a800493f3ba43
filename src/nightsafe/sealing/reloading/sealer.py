"""Seals values with the current content of the ring's file, so that a server works through a rotation."""

from collections.abc import Collection
from typing import Final

from nightsafe.sealing.context import Context
from nightsafe.sealing.groups.sealer import Later
from nightsafe.sealing.interfaces import MessageSigner
from nightsafe.sealing.reloading.key_file import ReloadedFile
from nightsafe.sealing.rings.public_ring import PublicRing
from nightsafe.sealing.sealer import SigningSealer
from nightsafe.secret_value import SecretValue


class ReloadingSealer:
    """A `SigningSealer` that takes its ring from a file.

    Args:
        ring: the public ring's file.
        signer: signs messages to the delivery process.
        later: see `GroupSealer`. Without it, each value is a group of its own.
    """

    __slots__ = ("_later", "_ring", "_sealer", "_signer")

    def __init__(self, ring: ReloadedFile[PublicRing], signer: MessageSigner, later: Later | None = None) -> None:
        self._ring: Final = ring
        self._signer: Final = signer
        self._later: Final = later
        self._sealer = SigningSealer(ring.current(), signer, later)

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
        self._use(self._ring.replace_until_change(lambda ring: ring.with_retired(key_ids, source)))

    def sign_message(self, message: bytes) -> bytes:
        """Do the same as `SigningSealer.sign_message`."""
        return self._signer.sign_message(message)

    def seal(self, context: Context, value: SecretValue) -> bytes:
        """Do the same as `SigningSealer.seal`."""
        return self._current_sealer().seal(context, value)

    def check(self, sealed: bytes) -> None:
        """Do the same as `SigningSealer.check`."""
        self._current_sealer().check(sealed)

    def _current_sealer(self) -> SigningSealer:
        """Return a sealer with the current ring."""
        ring = self._ring.current()
        if ring is not self._sealer.ring:
            self._use(ring)
        return self._sealer

    def _use(self, ring: PublicRing) -> None:
        """Seal to another ring from now on, and end the group of values under the previous one."""
        self._sealer.forget()
        self._sealer = SigningSealer(ring, self._signer, self._later)
