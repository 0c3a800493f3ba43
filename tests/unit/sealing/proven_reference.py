"""Makes stored records of version 2 from `docs/sealed-format.md`, without the package."""

import base64
import hashlib
import struct
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.unit.sealing.format_reference import Place, encode, encode_field, signer_id, signer_public


@dataclass(frozen=True)
class ProvenRecipe:
    """Everything that goes into one record of version 2.

    Attributes:
        place: the context.
        sealed: the sealed value.
        signer: the signing key's 32 bytes.
        since: the version that put the value.
        others: further statements of the group commit.
        position: how many of these come before the value's statement.
        origin: the log's origin.
        size: the size of the log.
        root: the root of the log.
    """

    place: Place
    sealed: bytes
    signer: bytes
    since: int = 3
    others: tuple[bytes, ...] = ()
    position: int = 0
    origin: str = "nightsafe/example"
    size: int = 1234
    root: bytes = bytes(range(32))

    def statement(self) -> bytes:
        """Return the statement that the value was put."""
        fields = b"".join(encode_field(field) for field in self.place.fields())
        put = encode("nightsafe record v2") + fields + encode_field(hashlib.sha256(self.sealed).digest())
        return hashlib.sha256(
            encode("nightsafe put v1", hashlib.sha256(put).digest(), self.since.to_bytes(8, "big"))
        ).digest()

    def proof(self) -> bytes:
        """Return the proof of the statement."""
        statements = [*self.others[: self.position], self.statement(), *self.others[self.position :]]
        leaves = [hashlib.sha256(b"\0" + statement).digest() for statement in statements]
        lines = (
            self.origin,
            str(self.size),
            base64.b64encode(self.root).decode(),
            f"statements {len(leaves)} {base64.b64encode(root_of(leaves)).decode()}",
        )
        body = "".join(f"{line}\n" for line in lines).encode()
        signature = Ed25519PrivateKey.from_private_bytes(self.signer).sign(body)
        path = path_of(leaves, self.position)
        numbers = struct.pack(">QIIB", self.size, len(leaves), self.position, len(path))
        own_id = signer_id(signer_public(self.signer))
        return own_id + signature + self.root + numbers + b"".join(path) + self.origin.encode()

    def record(self) -> bytes:
        """Return the stored record."""
        return with_proof(self.since, self.proof(), self.sealed)


def with_proof(since: int, proof: bytes, sealed: bytes) -> bytes:
    """Return a record with any proof."""
    return b"NSR\x02" + struct.pack(">QH", since, len(proof)) + proof + sealed


def root_of(leaves: list[bytes]) -> bytes:
    """Return the root of a tree: RFC 6962, section 2.1."""
    if len(leaves) == 1:
        return leaves[0]
    left = 1 << ((len(leaves) - 1).bit_length() - 1)
    return hashlib.sha256(b"\1" + root_of(leaves[:left]) + root_of(leaves[left:])).digest()


def path_of(leaves: list[bytes], position: int) -> list[bytes]:
    """Return the inclusion proof of a leaf: RFC 6962, section 2.1.1."""
    if len(leaves) == 1:
        return []
    left = 1 << ((len(leaves) - 1).bit_length() - 1)
    if position < left:
        return [*path_of(leaves[:left], position), root_of(leaves[left:])]
    return [*path_of(leaves[left:], position - left), root_of(leaves[:left])]
