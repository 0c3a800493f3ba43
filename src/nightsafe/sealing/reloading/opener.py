"""Opens records with the current content of the ring's file, so that delivery works through a rotation."""

from typing import Final

from nightsafe.sealing.context import Context
from nightsafe.sealing.interfaces import Verifier
from nightsafe.sealing.opener import RecordOpener
from nightsafe.sealing.reloading.key_file import ReloadedFile
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.secret_value import SecretValue


class ReloadingOpener:
    """A `RecordOpener` that takes its ring from a file.

    Args:
        verifier: checks the records' signatures.
        ring: the private ring's file.
    """

    __slots__ = ("_opener", "_ring", "_seen", "_verifier")

    def __init__(self, verifier: Verifier, ring: ReloadedFile[PrivateRing]) -> None:
        self._verifier: Final = verifier
        self._ring: Final = ring
        self._seen = ring.current()
        self._opener = RecordOpener(verifier, self._seen)

    @property
    def ring(self) -> PrivateRing:
        """The ring that opens values."""
        self._current_opener()
        return self._seen

    def open(self, context: Context, record: bytes) -> SecretValue:
        """Do the same as `RecordOpener.open`."""
        return self._current_opener().open(context, record)

    def open_named(self, signed: Context, sealed: Context, record: bytes) -> SecretValue:
        """Do the same as `RecordOpener.open_named`."""
        return self._current_opener().open_named(signed, sealed, record)

    def _current_opener(self) -> RecordOpener:
        """Return an opener with the current ring."""
        ring = self._ring.current()
        if ring is not self._seen:
            self._opener.forget()
            self._seen, self._opener = ring, RecordOpener(self._verifier, ring)
        return self._opener
