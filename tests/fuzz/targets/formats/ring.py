"""The four key files: both rings, the signing key and the verify keys."""

from typing import Protocol, Self

from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.rings.public_ring import PublicRing
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys


class _KeyFile(Protocol):
    """The methods that the four have in common."""

    @classmethod
    def decode(cls, data: bytes, source: str = ...) -> Self:
        """Decode a file's bytes."""

    def encode(self) -> bytes:
        """Return the file's bytes."""


_FORMS: tuple[type[_KeyFile], ...] = (PrivateRing, PublicRing, SigningKey, VerifyKeys)


def check(data: bytes) -> None:
    """Check that each is refused, or encoded in a form that decodes to the same bytes."""
    for form in _FORMS:
        try:
            written = form.decode(data).encode()
        except NightsafeError as refused:
            assert refused.code is Code.INVALID
            continue
        assert form.decode(written).encode() == written
