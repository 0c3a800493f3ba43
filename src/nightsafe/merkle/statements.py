"""Proofs that a digest is among the statements of a group commit, whose checkpoint is signed.

A group commit makes statements: this record was put here, this version consists of that. Each statement is a digest.
The digests are the leaves of a tree of their own. The signed checkpoint names its root in an extension line.
`docs/sealed-format.md`, "Proof of a statement", is the layout.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

import msgspec

from nightsafe.merkle.checkpoint import SIGNATURE_SIZE, Checkpoint, NoteKey, statements_line
from nightsafe.merkle.proofs import inclusion_proof, root_from_inclusion
from nightsafe.merkle.tree import HASH_SIZE, leaf_hash, root_of

_SIGNER_ID_SIZE: Final = 8
_NUMBERS: Final = 8 + 4 + 4
_FIXED: Final = _SIGNER_ID_SIZE + SIGNATURE_SIZE + HASH_SIZE + _NUMBERS
_MAX_PATH: Final = 32

Sign = Callable[[bytes], bytes]
"""Returns the 64 bytes of an Ed25519 signature of a text."""


class SignedStatements(msgspec.Struct, frozen=True, kw_only=True):
    """The statements of one group commit with the signature of its checkpoint.

    Attributes:
        origin: the log's origin.
        size: the number of the log's entries after the commit.
        root: the root of the log's tree after the commit.
        digests: the statements, 32 bytes each, one after the other.
        signer_id: the id of the signing key, 16 hex digits.
        signature: the signature over the checkpoint's text.
    """

    origin: str
    size: int
    root: bytes
    digests: bytes
    signer_id: str
    signature: bytes

    @classmethod
    def sign(  # noqa: PLR0913, PLR0917 - what a checkpoint has
        cls, origin: str, size: int, root: bytes, digests: Sequence[bytes], signer_id: str, sign: Sign
    ) -> "SignedStatements":
        """Sign the checkpoint of a group commit.

        Args:
            origin: the log's origin.
            size: the number of the log's entries after the commit.
            root: the root of the log's tree after the commit.
            digests: the statements, 32 bytes each; may be empty.
            signer_id: the id of the signing key.
            sign: returns the 64 bytes of an Ed25519 signature of a text.
        """
        joined = b"".join(digests)
        signature = sign(_checkpoint(origin, size, root, joined).text())
        return cls(origin=origin, size=size, root=root, digests=joined, signer_id=signer_id, signature=signature)

    def note(self, public: bytes) -> bytes:
        """Return the checkpoint as a signed note.

        Args:
            public: the public half of the signing key.
        """
        text = _checkpoint(self.origin, self.size, self.root, self.digests).text()
        return text + b"\n" + NoteKey(self.origin, public).line(self.signature)

    def has(self, position: int) -> bool:
        """Return True if there is a statement at a position."""
        return 0 <= position < len(self.digests) // HASH_SIZE

    def proof(self, position: int) -> "StatementProof":
        """Return the proof of the statement at a position."""
        leaves = _leaves(self.digests)
        path = inclusion_proof(position, len(leaves), lambda height, index: _node(self.digests, height, index))
        return StatementProof(
            signer_id=self.signer_id,
            signature=self.signature,
            origin=self.origin,
            size=self.size,
            root=self.root,
            count=len(leaves),
            position=position,
            path=tuple(path),
        )


class StatementProof(msgspec.Struct, frozen=True, kw_only=True):
    """The proof of one statement.

    Attributes:
        signer_id, signature, origin, size, root: as in `SignedStatements`.
        count: how many statements the group commit has.
        position: the statement's index among them.
        path: the hashes that lead from the statement to the root of the statements.
    """

    signer_id: str
    signature: bytes
    origin: str
    size: int
    root: bytes
    count: int
    position: int
    path: tuple[bytes, ...]

    def pack(self) -> bytes:
        """Return the bytes that `parse` reads."""
        origin = self.origin.encode()
        numbers = self.size.to_bytes(8, "big") + self.count.to_bytes(4, "big") + self.position.to_bytes(4, "big")
        head = bytes.fromhex(self.signer_id) + self.signature + self.root + numbers
        return head + bytes((len(self.path),)) + b"".join(self.path) + origin

    @classmethod
    def parse(cls, data: bytes) -> "StatementProof":
        """Parse a proof without checking it.

        Raises:
            ValueError: when the layout is wrong.
        """
        end = _FIXED + 1 + (data[_FIXED] if len(data) > _FIXED else 0) * HASH_SIZE
        if not _FIXED < end < len(data) or data[_FIXED] > _MAX_PATH:
            raise ValueError("not a proof")
        root_at, numbers_at = _SIGNER_ID_SIZE + SIGNATURE_SIZE, _FIXED - _NUMBERS
        return cls(
            signer_id=data[:_SIGNER_ID_SIZE].hex(),
            signature=data[_SIGNER_ID_SIZE:root_at],
            origin=data[end:].decode(),
            size=int.from_bytes(data[numbers_at : numbers_at + 8], "big"),
            root=data[root_at:numbers_at],
            count=int.from_bytes(data[_FIXED - 8 : _FIXED - 4], "big"),
            position=int.from_bytes(data[_FIXED - 4 : _FIXED], "big"),
            path=tuple(data[at : at + HASH_SIZE] for at in range(_FIXED + 1, end, HASH_SIZE)),
        )

    def signed_text(self, digest: bytes) -> bytes | None:
        """Return the checkpoint's text that the signature must cover if this proof is for the statement.

        Returns:
            None when the path has a wrong length.
        """
        root = root_from_inclusion(self.position, self.count, leaf_hash(digest), self.path)
        if root is None:
            return None
        return Checkpoint(self.origin, self.size, self.root, (statements_line(self.count, root),)).text()


def _checkpoint(origin: str, size: int, root: bytes, digests: bytes) -> Checkpoint:
    """Return the checkpoint of a group commit. Without statements, it has no extension line."""
    leaves = _leaves(digests)
    lines = (statements_line(len(leaves), root_of(leaves)),) if leaves else ()
    return Checkpoint(origin, size, root, lines)


def statements_root(digests: Sequence[bytes]) -> bytes:
    """Return the root of the tree of statements."""
    return root_of(map(leaf_hash, digests))


@lru_cache(maxsize=64)
def _leaves(digests: bytes) -> tuple[bytes, ...]:
    """Return the leaf hashes of the statements."""
    return tuple(leaf_hash(digests[at : at + HASH_SIZE]) for at in range(0, len(digests), HASH_SIZE))


@lru_cache(maxsize=4096)
def _node(digests: bytes, height: int, index: int) -> bytes:
    """Return the root of a perfect subtree of the statements. The neighbours of one group share it."""
    return root_of(_leaves(digests)[index << height : (index + 1) << height])
