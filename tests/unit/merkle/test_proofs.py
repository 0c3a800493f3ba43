"""Inclusion and consistency proofs, for every pair of small trees."""

from itertools import pairwise

import pytest

from nightsafe.merkle.proofs import consistency_proof, inclusion_proof, is_consistent, root_from_inclusion
from nightsafe.merkle.tree import EMPTY_ROOT, leaf_hash, root_of

COUNT = 40
LEAVES = [leaf_hash(bytes([number])) for number in range(COUNT)]
ROOTS = [root_of(LEAVES[:size]) for size in range(COUNT + 1)]


def node(height: int, index: int) -> bytes:
    """Return the root of a perfect subtree of the leaves."""
    return root_of(LEAVES[index << height : (index + 1) << height])


def test_every_leaf_is_included_in_every_larger_tree() -> None:
    """The path of each leaf leads to the root."""
    for size in range(1, COUNT + 1):
        for index in range(size):
            path = inclusion_proof(index, size, node)
            assert ROOTS[size] == root_from_inclusion(index, size, LEAVES[index], path)


def test_a_changed_inclusion_proof_leads_elsewhere() -> None:
    """Another leaf, index, size, hash or length never leads to the root."""
    for size in (2, 3, 7, 8, 21, COUNT):
        for index in range(size):
            path = inclusion_proof(index, size, node)
            assert ROOTS[size] != root_from_inclusion(index, size, LEAVES[index - 1], path)
            assert ROOTS[size] != root_from_inclusion(index, size, LEAVES[index], path[:-1])
            assert ROOTS[size] != root_from_inclusion(index, size, LEAVES[index], [*path, bytes(32)])
            assert ROOTS[size] != root_from_inclusion(index, size, LEAVES[index], [bytes(32), *path[1:]])
            others = [other for other in range(size) if other != index]
            assert all(ROOTS[size] != root_from_inclusion(other, size, LEAVES[index], path) for other in others)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (-1, 2), (5, 5)])
def test_a_leaf_outside_the_tree_has_no_root(index: int, size: int) -> None:
    """An index outside the tree leads to no root."""
    assert root_from_inclusion(index, size, LEAVES[0], []) is None


def test_every_tree_is_consistent_with_every_larger_tree() -> None:
    """The proof between any two sizes shows that the larger tree begins with the smaller one."""
    for new in range(COUNT + 1):
        for old in range(new + 1):
            proof = consistency_proof(old, new, node)
            assert is_consistent(old, new, ROOTS[old], ROOTS[new], proof)


def test_a_proof_from_an_odd_size_is_its_last_leaf_with_the_leafs_path() -> None:
    """The consistency proof from an odd size above 1 is a leaf hash and its inclusion proof in the larger tree."""
    for new in range(4, COUNT + 1):
        for old in range(3, new, 2):
            assert [LEAVES[old - 1], *inclusion_proof(old - 1, new, node)] == consistency_proof(old, new, node)


def test_a_changed_consistency_proof_is_refused() -> None:
    """Another root, size, hash or length is refused."""
    for new in (2, 3, 8, 13, COUNT):
        for old in range(1, new):
            proof = consistency_proof(old, new, node)
            assert not is_consistent(old, new, ROOTS[old - 1], ROOTS[new], proof)
            assert not is_consistent(old, new, ROOTS[old], ROOTS[new - 1], proof)
            assert not is_consistent(old, new, ROOTS[old], ROOTS[new], proof[:-1])
            assert not is_consistent(old, new, ROOTS[old], ROOTS[new], [*proof, bytes(32)])
            assert not is_consistent(old, new, ROOTS[old], ROOTS[new], [bytes(32), *proof[1:]])
            assert not is_consistent(new, old, ROOTS[new], ROOTS[old], proof)


def test_only_the_empty_tree_begins_every_tree() -> None:
    """A proof from 0 is empty, and only the root of the empty tree fits it."""
    assert is_consistent(0, 5, EMPTY_ROOT, ROOTS[5], [])
    assert not is_consistent(0, 5, ROOTS[1], ROOTS[5], [])
    assert not is_consistent(0, 5, EMPTY_ROOT, ROOTS[5], [bytes(32)])


def test_equal_sizes_need_equal_roots() -> None:
    """Between trees of one size, only an empty proof with equal roots counts."""
    assert all(is_consistent(size, size, root, root, []) for size, root in enumerate(ROOTS))
    assert not any(is_consistent(7, 7, old, new, []) for old, new in pairwise(ROOTS))
    assert not is_consistent(7, 7, ROOTS[7], ROOTS[7], [bytes(32)])
