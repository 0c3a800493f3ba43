"""How a ring shows that it came of an earlier one: each rotation signs the new primary with the one before it.

`docs/sealed-format.md`, "Lineage", has the layout. What signs is derived from a primary's private key, so only the
private ring's machine can: `nightsafe.sealing.rings.ring_signer`. Here is what everybody can check.
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

MOST_LINKS: Final = 256
"""A ring keeps so many of its last links; a client that has missed more is told that it cannot follow."""

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
    """One rotation: the signer of the primary of before says which primary came next."""

    number: Number
    """The number of the ring that the rotation made."""
    primary: _Digest
    """The digest of its primary key."""
    signer: _Signer
    """The Ed25519 public key that signs the next link."""
    by: _Signer
    """The Ed25519 public key that has signed this one."""
    signature: _Signature
    """Over `link_message`."""


class Lineage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Who signs the ring that comes after this one, and how this one came of earlier ones."""

    signer: _Signer | None = None
    """The Ed25519 public key of the primary's side; None of a ring that was made before there were any."""
    links: Annotated[tuple[Link, ...], msgspec.Meta(max_length=MOST_LINKS)] = ()
    """The rotations, the last ones at most."""

    def joined(self, other: "Lineage") -> "Lineage":
        """This one with the links of another one of the same safe, the newest at most."""
        if not other.links and (self.signer or not other.signer):
            return self
        links = sorted({*self.links, *other.links}, key=lambda link: link.number)
        return Lineage(self.signer, tuple(links[-MOST_LINKS:]))


class Identity(msgspec.Struct, frozen=True):
    """What one remembers of a ring to know it, and what comes of it, again."""

    number: int
    """Its number; 0 when it said none."""
    primary: bytes
    """The digest of its primary key."""
    signer: bytes = b""
    """Who signs the ring after it; empty when it did not say."""

    @property
    def fingerprint(self) -> str:
        """What two people compare, in the form that SSH has for its keys."""
        digest = sha256(encode(_FINGERPRINT_TAG, self.primary, self.signer)).digest()
        return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


class NotFollowedError(Exception):
    """A ring that is not the one that is known, and did not come of it; the message says how it differs."""


def primary_digest(suite: Suite, public: bytes) -> bytes:
    """What stands for a primary key in a link and in a fingerprint."""
    return sha256(encode(_PRIMARY_TAG, bytes((suite.number,)), public)).digest()


def link_message(number: int, primary: bytes, signer: bytes, by: bytes) -> bytes:
    """What the signature of a link is over."""
    return encode(_LINK_TAG, struct.pack(">Q", number), primary, signer, by)


def follow(known: Identity, offered: Identity, links: Iterable[Link]) -> Identity:
    """What to remember from now on: the ring that is offered, if it is the known one or came of it.

    Args:
        known: the ring that is remembered.
        offered: the one that somebody brings.
        links: what they bring with it as proof.

    Raises:
        NotFollowedError: when it is another one.
    """
    if offered.primary == known.primary:
        if known.signer and offered.signer not in {b"", known.signer}:
            raise NotFollowedError("has the known primary key, and another signer than it is known with")
        return known if known.signer else offered
    number = _reached(known, offered, links) if known.signer and offered.signer else None
    if number is not None:
        return Identity(number, offered.primary, offered.signer)
    numbers = f"its number is {offered.number}, that of the known one {known.number}"
    if not known.signer:
        raise NotFollowedError(f"is another one, and the known one was made before rings were signed; {numbers}")
    raise NotFollowedError(f"is another one, and the known ring did not sign it; {numbers}")


def _reached(known: Identity, offered: Identity, links: Iterable[Link]) -> int | None:
    """The number of the ring that is offered, if links lead to it; numbers grow along them."""
    reached = {known.signer: known.number}
    for link in sorted(links, key=lambda link: link.number)[:MOST_LINKS]:
        before = reached.get(link.by)
        if before is None or link.number <= before or not _is_signed(link):
            continue
        if link.signer == offered.signer and link.primary == offered.primary:
            return link.number
        reached.setdefault(link.signer, link.number)
    return None


def _is_signed(link: Link) -> bool:
    """Whether a link has the signature that it says."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - most rings are the known one
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - the same

    message = link_message(link.number, link.primary, link.signer, link.by)
    try:
        Ed25519PublicKey.from_public_bytes(link.by).verify(link.signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def check_lineage(source: str, lineage: Lineage) -> None:
    """Refuse links of a ring that names no signer.

    Raises:
        NightsafeError: INVALID.
    """
    if lineage.links and lineage.signer is None:
        raise problem(source, "wrong or missing field at $.lineage.signer")
