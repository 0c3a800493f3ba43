"""Checks that a ring descends from an earlier one: at each rotation, the previous primary signs the new primary.

`docs/sealed-format.md`, "Lineage", defines the layout. The signing key is derived from a primary's private key, so
only the machine that holds the private ring can sign: `nightsafe.sealing.rings.ring_signer`. Anyone can run the
checks in this module.
"""

import base64
import struct
from collections.abc import Iterable
from hashlib import sha256
from typing import Annotated, Final

import msgspec

from nightsafe.sealing.encoding import encode
from nightsafe.sealing.rings.ring_file import Number, problem
from nightsafe.sealing.suite import Suite

MAX_LINKS: Final = 256
"""A ring keeps this many of its latest links; a client that missed more rotations is told that it cannot follow."""

_DIGEST_SIZE: Final = 32
_SIGNER_SIZE: Final = 32
_SIGNATURE_SIZE: Final = 64
_LINK_TAG: Final = b"nightsafe ring link v1"
_PRIMARY_TAG: Final = b"nightsafe ring primary v1"
_FINGERPRINT_TAG: Final = b"nightsafe ring fingerprint v1"

_Digest = Annotated[bytes, msgspec.Meta(min_length=_DIGEST_SIZE, max_length=_DIGEST_SIZE)]
_Signer = Annotated[bytes, msgspec.Meta(min_length=_SIGNER_SIZE, max_length=_SIGNER_SIZE)]
_Signature = Annotated[bytes, msgspec.Meta(min_length=_SIGNATURE_SIZE, max_length=_SIGNATURE_SIZE)]


class Link(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rotation: the previous primary's signer states which primary came next."""

    number: Number
    """The number of the ring that the rotation made."""
    primary: _Digest
    """The digest of that ring's primary key."""
    signer: _Signer
    """The Ed25519 public key that signs the next link."""
    by: _Signer
    """The Ed25519 public key that signed this link."""
    signature: _Signature
    """The signature over `link_message`."""


class Lineage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The signer of the next ring, and the links that lead from earlier rings to this one."""

    signer: _Signer | None = None
    """The Ed25519 public key derived from the primary; None for a ring that was made before rings were signed."""
    links: Annotated[tuple[Link, ...], msgspec.Meta(max_length=MAX_LINKS)] = ()
    """The latest rotations."""

    def joined_with(self, other: "Lineage") -> "Lineage":
        """Add the links of another lineage of the same safe, and keep the newest."""
        if not other.links and (self.signer or not other.signer):
            return self
        links = sorted({*self.links, *other.links}, key=lambda link: link.number)
        return Lineage(self.signer, tuple(links[-MAX_LINKS:]))


class Identity(msgspec.Struct, frozen=True):
    """The facts that a client remembers of a ring, to recognise that ring and its successors."""

    number: int
    """The ring's number; 0 when the ring stated no number."""
    primary: bytes
    """The digest of the ring's primary key."""
    signer: bytes = b""
    """The Ed25519 public key that signs the next ring; empty when the ring did not state one."""

    @property
    def fingerprint(self) -> str:
        """The fingerprint that two people compare, in the form that SSH uses for its keys."""
        digest = sha256(encode(_FINGERPRINT_TAG, self.primary, self.signer)).digest()
        return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


class NotFollowedError(Exception):
    """A ring is neither the known one nor its successor; the message says how it differs."""


def primary_digest(suite: Suite, public: bytes) -> bytes:
    """Return the digest that represents a primary key in a link and in a fingerprint."""
    return sha256(encode(_PRIMARY_TAG, bytes((suite.number,)), public)).digest()


def link_message(number: int, primary: bytes, signer: bytes, by: bytes) -> bytes:
    """Return the message that a link's signature covers."""
    return encode(_LINK_TAG, struct.pack(">Q", number), primary, signer, by)


def follow(known: Identity, offered: Identity, links: Iterable[Link]) -> Identity:
    """Return the identity to remember from now on: the offered ring's, if it is the known ring or descends from it.

    Args:
        known: the remembered ring.
        offered: the ring that the server offers.
        links: the proof that comes with the offered ring.

    Raises:
        NotFollowedError: when the offered ring is a different one.
    """
    if offered.primary == known.primary:
        if known.signer and offered.signer not in {b"", known.signer}:
            raise NotFollowedError("has the known primary key, but not the signer known for it")
        return known if known.signer else offered
    number = _number_reached(known, offered, links) if known.signer and offered.signer else None
    if number is not None:
        return Identity(number, offered.primary, offered.signer)
    numbers = f"its number is {offered.number}, the known ring's number is {known.number}"
    if not known.signer:
        raise NotFollowedError(f"is a different one, and the known ring was made before rings were signed; {numbers}")
    raise NotFollowedError(f"is a different one, and the known ring did not sign it; {numbers}")


def _number_reached(known: Identity, offered: Identity, links: Iterable[Link]) -> int | None:
    """Return the offered ring's number, if links with growing numbers lead to it."""
    reached = {known.signer: known.number}
    for link in sorted(links, key=lambda link: link.number)[:MAX_LINKS]:
        before = reached.get(link.by)
        if before is None or link.number <= before or not _is_signed(link):
            continue
        if link.signer == offered.signer and link.primary == offered.primary:
            return link.number
        reached.setdefault(link.signer, link.number)
    return None


def _is_signed(link: Link) -> bool:
    """Return True if the key that a link names signed it."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - most rings are already known
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - the same

    message = link_message(link.number, link.primary, link.signer, link.by)
    try:
        Ed25519PublicKey.from_public_bytes(link.by).verify(link.signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def check_lineage(source: str, lineage: Lineage) -> None:
    """Refuse links if the ring names no signer.

    Raises:
        NightsafeError: INVALID.
    """
    if lineage.links and lineage.signer is None:
        raise problem(source, "wrong or missing field at $.lineage.signer")
