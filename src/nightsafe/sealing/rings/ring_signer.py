"""Signs each new ring with an Ed25519 key derived from the previous primary's private key.

So every private ring has a signing key, no signing key needs its own file, and the serving machine never holds one.
"""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from nightsafe.sealing.encoding import encode
from nightsafe.sealing.rings.lineage import Lineage, Link, link_message, primary_digest
from nightsafe.sealing.rings.private_ring import PrivateKey, PrivateRing
from nightsafe.sealing.rings.public_ring import PublicKey, PublicRing

_TAG = b"nightsafe ring signer v1"


def signer_of(key: PrivateKey) -> Ed25519PrivateKey:
    """Return the key that signs links while this key is the primary."""
    info = encode(_TAG, bytes((key.public.suite.number,)), key.public.public)
    return Ed25519PrivateKey.from_private_bytes(HKDF(SHA256(), 32, None, info).derive(key.private.reveal()))


def public_ring(ring: PrivateRing, before: PublicRing | None = None, rotated: PrivateKey | None = None) -> PublicRing:
    """Return a private ring's public ring, with its lineage.

    Args:
        ring: the private ring.
        before: the previous public ring, whose links the new one keeps.
        rotated: the previous primary, when a rotation has just made a new one.
    """
    primary = ring.primary
    signer = signer_of(primary).public_key().public_bytes_raw()
    links: tuple[Link, ...] = ()
    if rotated is not None and rotated.id != primary.id:
        links = (_link(rotated, primary.public, signer, ring.number),)
    lineage = Lineage(signer, links).joined_with(Lineage() if before is None else before.lineage)
    return ring.public().with_lineage(lineage)


def _link(before: PrivateKey, primary: PublicKey, signer: bytes, number: int) -> Link:
    """Make the link of one rotation, signed with the key derived from the previous primary."""
    digest, signing = primary_digest(primary.suite, primary.public), signer_of(before)
    by = signing.public_key().public_bytes_raw()
    return Link(number, digest, signer, by, signing.sign(link_message(number, digest, signer, by)))
