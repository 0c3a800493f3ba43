"""The key files: both rings, the signing key, the verify keys, the identity key, and the files of approvers."""

from typing import Protocol, Self

from nightsafe.bundle.approvals.approver_key import ApproverKey
from nightsafe.bundle.approvals.approvers import Approvers
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.identity_key import IdentityKey
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.rings.public_ring import PublicRing
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys


class _KeyFile(Protocol):
    """The methods that all have in common."""

    @classmethod
    def decode(cls, data: bytes, source: str = ...) -> Self:
        """Decode a file's bytes."""

    def encode(self) -> bytes:
        """Return the file's bytes."""


_FORMS: tuple[type[_KeyFile], ...] = (
    PrivateRing,
    PublicRing,
    SigningKey,
    VerifyKeys,
    IdentityKey,
    ApproverKey,
    Approvers,
)


def check(data: bytes) -> None:
    """Check that each is refused, or encoded in a form that decodes to the same bytes."""
    for form in _FORMS:
        try:
            written = form.decode(data).encode()
        except NightsafeError as refused:
            assert refused.code is Code.INVALID
            continue
        assert form.decode(written).encode() == written
