"""Inclusion and consistency proofs: RFC 6962, section 2.1, checked as RFC 9162, section 2.1, describes."""

from collections.abc import Callable, Sequence

from nightsafe.merkle.tree import EMPTY_ROOT, fold_right, node_hash

Node = Callable[[int, int], bytes]
"""Returns the root of a perfect subtree by its height and index."""


def inclusion_proof(index: int, size: int, node: Node) -> list[bytes]:
    """Return the path from a leaf to the root.

    Args:
        index: the leaf's index, below `size`.
        size: the number of leaves of the tree.
        node: returns the roots of perfect subtrees.
    """
    path, low, high = [], 0, size
    while high - low > 1:
        middle = low + _largest_power_below(high - low)
        if index < middle:
            path.append(_range_root(middle, high, node))
            high = middle
        else:
            path.append(_range_root(low, middle, node))
            low = middle
    return path[::-1]


def consistency_proof(old: int, new: int, node: Node) -> list[bytes]:
    """Return the proof that a tree of `new` leaves begins with the tree of `old` leaves.

    Args:
        old: the number of leaves of the older tree, at most `new`. The proof from 0 is empty.
        new: the number of leaves of the newer tree.
        node: returns the roots of perfect subtrees.
    """
    proof, low, high, is_whole = [], 0, new, True
    if old in {0, new}:
        return []
    while old != high:
        middle = low + _largest_power_below(high - low)
        if old <= middle:
            proof.append(_range_root(middle, high, node))
            high = middle
        else:
            proof.append(_range_root(low, middle, node))
            low, is_whole = middle, False
    if not is_whole:
        proof.append(_range_root(low, high, node))
    return proof[::-1]


def proof_nodes(old: int, new: int) -> set[tuple[int, int]]:
    """Return height and index of the subtrees that a consistency proof is computed from."""
    nodes: set[tuple[int, int]] = set()

    def note(height: int, index: int) -> bytes:
        """Note a subtree."""
        nodes.add((height, index))
        return b""

    consistency_proof(old, new, note)
    return nodes


def root_from_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes | None:
    """Return the root that a path leads to from a leaf; None when the path has a wrong length for the size."""
    if not 0 <= index < size:
        return None
    root, position, last = leaf, index, size - 1
    for sibling in path:
        if last == 0:
            return None
        if position & 1 or position == last:
            root = node_hash(sibling, root)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            root = node_hash(root, sibling)
        position >>= 1
        last >>= 1
    return root if last == 0 else None


def is_consistent(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Return True if a proof shows that the newer tree begins with the older tree."""
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    if old == new:
        return not proof and old_root == new_root
    if old > new:
        return False
    hashes = list(proof) if old & (old - 1) else [old_root, *proof]
    roots = _roots_from_consistency(old, new, hashes)
    return roots == (old_root, new_root)


def _roots_from_consistency(old: int, new: int, hashes: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """Return the roots of both trees that a proof leads to; None when it has a wrong length."""
    position, last = old - 1, new - 1
    while position & 1:
        position >>= 1
        last >>= 1
    if not hashes:
        return None
    old_root = new_root = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return None
        if position & 1 or position == last:
            old_root, new_root = node_hash(sibling, old_root), node_hash(sibling, new_root)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            new_root = node_hash(new_root, sibling)
        position >>= 1
        last >>= 1
    return (old_root, new_root) if last == 0 else None


def _largest_power_below(count: int) -> int:
    """Return the largest power of two that is smaller than `count`, which is at least 2."""
    return 1 << ((count - 1).bit_length() - 1)


def _range_root(low: int, high: int, node: Node) -> bytes:
    """Return the root of the leaves from `low` to `high`, which is a subtree that a proof may name."""
    parts = []
    while low < high:
        height = (high - low).bit_length() - 1
        parts.append(node(height, low >> height))
        low += 1 << height
    return fold_right(parts)
