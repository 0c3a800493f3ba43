"""The Merkle tree of RFC 6962, section 2.1: hashes, roots, and the frontier of a growing tree."""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final

HASH_SIZE: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()
"""The root of a tree without leaves."""


def leaf_hash(entry: bytes) -> bytes:
    """Return the SHA-256 of the byte 0x00 followed by the entry."""
    return sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the SHA-256 of the byte 0x01 followed by the hashes of both children."""
    return sha256(b"\1" + left + right).digest()


def fold_right(hashes: Sequence[bytes]) -> bytes:
    """Return the root over adjacent perfect subtrees, the largest first."""
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Return the root of the tree with these leaf hashes."""
    level = list(leaves)
    while len(level) > 1:
        parents = [*map(node_hash, level[::2], level[1::2])]
        level = parents + level[2 * len(parents) :]
    return level[0] if level else EMPTY_ROOT


class Frontier:
    """The roots of the perfect subtrees that a tree consists of. They are all that a tree needs to grow.

    Args:
        size: the number of leaves.
        hashes: the roots, the largest subtree first: one for each bit that is set in `size`.

    Attributes:
        completed: the roots of the perfect subtrees that the last leaf completed, by their height.
    """

    __slots__ = ("completed", "hashes", "size")

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self.size = size
        self.hashes = list(hashes)
        self.completed: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        """Append a leaf by its hash. `completed` then has the roots of the subtrees that it completes, by height."""
        bits, merged = self.size, leaf
        self.completed = [leaf]
        while bits & 1:
            merged = node_hash(self.hashes.pop(), merged)
            self.completed.append(merged)
            bits >>= 1
        self.hashes.append(merged)
        self.size += 1

    def root(self) -> bytes:
        """Return the root of the tree."""
        return fold_right(self.hashes) if self.hashes else EMPTY_ROOT

    def encode(self) -> bytes:
        """Return the hashes as bytes, for `decode`."""
        return b"".join(self.hashes)

    @classmethod
    def decode(cls, size: int, data: bytes) -> "Frontier":
        """Read a frontier from the bytes of its hashes.

        Raises:
            ValueError: when a tree of this size has another number of subtrees.
        """
        if len(data) != HASH_SIZE * size.bit_count():
            raise ValueError("the frontier does not have one hash for each perfect subtree")
        return cls(size, [data[start : start + HASH_SIZE] for start in range(0, len(data), HASH_SIZE)])
