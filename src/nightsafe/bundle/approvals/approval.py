"""An approval: an approver's signature over the digests of a version's manifest."""

from typing import Annotated, Final, Protocol, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Meta, Struct

from nightsafe.bundle.approvals.manifest import Covers, Manifest
from nightsafe.sealing.encoding import encode, short_id
from nightsafe.sealing.interfaces import MessageSigner

_TAG = b"nightsafe approval v1"
_ID_TAG = b"nightsafe approver id v1"

Digest = Annotated[bytes, Meta(min_length=32, max_length=32)]
Public = Annotated[bytes, Meta(min_length=32, max_length=32)]
Microseconds = Annotated[int, Meta(ge=0, le=1 << 53)]


MAX_AHEAD: Final = 3600 * 1_000_000
"""How far an approval may be dated after the time of the machine that checks it, in microseconds."""


def is_ahead(made_at: int, now: int) -> bool:
    """Return True if an approval is dated too far after the time to count; both are in microseconds since 1970 UTC.

    If it counted, no other approval of the script would count until then.
    """
    return made_at > now + MAX_AHEAD


def approver_id(public: bytes) -> str:
    """Return the id of an approver's key: 16 hex digits that depend on the public key only."""
    return short_id(_ID_TAG, public)


class Approval(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One approval.

    Attributes:
        public: the approver's public key.
        made_at: when it was made, in microseconds since 1970 UTC. Later approvals of a script have greater times.
        code: the manifest's `code_digest`.
        values: the manifest's `values_digest`.
        signature: 64 bytes, over all of the above.
    """

    public: Public
    made_at: Microseconds
    code: Digest
    values: Digest
    signature: Annotated[bytes, Meta(min_length=64, max_length=64)]

    @classmethod
    def sign(cls, manifest: Manifest, made_at: int, signer: "ApprovalSigner") -> Self:
        """Approve a manifest. The digests are computed here, from the parts that the approver has seen."""
        code, values = manifest.code_digest(), manifest.values_digest()
        signature = signer.sign_message(_message(code, values, made_at, signer.id))
        return cls(public=signer.public, made_at=made_at, code=code, values=values, signature=signature)

    @property
    def key(self) -> str:
        """The id of the approver's key."""
        return approver_id(self.public)

    def is_valid(self) -> bool:
        """Return True if the public key has signed this. The caller must check that it trusts the key."""
        message = _message(self.code, self.values, self.made_at, self.key)
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(self.signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    def approves(self, manifest: Manifest, covers: Covers) -> bool:
        """Return True if the approval is about these parts."""
        if covers is Covers.VALUES:
            return self.values == manifest.values_digest()
        return self.code == manifest.code_digest()


class ApprovalSigner(MessageSigner, Protocol):
    """Signs approvals."""

    @property
    def public(self) -> bytes:
        """The Ed25519 public key, 32 bytes."""
        ...  # pragma: no cover


class ApprovedBy(Struct, frozen=True):
    """The approvals that a delivery process accepts for a script.

    Attributes:
        keys: ids of the keys.
        covers: the parts that an approval must cover.
        since: the least time of an approval, in microseconds. The process has served versions approved at that time.
    """

    keys: tuple[str, ...]
    covers: Covers
    since: int = 0


def _message(code: bytes, values: bytes, made_at: int, key_id: str) -> bytes:
    """Return the bytes that the signature covers."""
    return encode(_TAG, code, values, made_at.to_bytes(8, "big"), bytes.fromhex(key_id))
