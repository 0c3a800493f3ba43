"""The Merkle tree: hashes and roots as RFC 6962 defines them, and a frontier that grows."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightsafe.merkle.tree import EMPTY_ROOT, Frontier, leaf_hash, node_hash, root_of

LEAVES = [bytes.fromhex(text) for text in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
"""The entries that implementations of Certificate Transparency share as test data."""

ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


def merkle_tree_hash(leaves: list[bytes]) -> bytes:
    """Compute a root by the recursive definition of RFC 6962, section 2.1."""
    if len(leaves) < 2:
        return leaves[0] if leaves else EMPTY_ROOT
    middle = 1 << ((len(leaves) - 1).bit_length() - 1)
    return node_hash(merkle_tree_hash(leaves[:middle]), merkle_tree_hash(leaves[middle:]))


@pytest.mark.parametrize(("size", "root"), ROOTS.items())
def test_roots_are_those_of_other_implementations(size: int, root: str) -> None:
    """The shared test data has the roots that other implementations compute."""
    assert bytes.fromhex(root) == root_of(leaf_hash(entry) for entry in LEAVES[:size])


@given(st.binary())
def test_a_leaf_is_hashed_with_its_prefix(entry: bytes) -> None:
    """A leaf is SHA-256 of a zero byte and the entry (RFC 6962, section 2.1)."""
    assert sha256(b"\x00" + entry).digest() == leaf_hash(entry)


def test_a_frontier_has_the_root_of_the_definition() -> None:
    """After each append, the root is the one of the recursive definition."""
    leaves, frontier = [leaf_hash(bytes([number])) for number in range(130)], Frontier()
    for size, leaf in enumerate(leaves, start=1):
        frontier.append(leaf)
        assert (size, merkle_tree_hash(leaves[:size])) == (frontier.size, frontier.root())


def test_a_frontier_goes_on_from_its_bytes() -> None:
    """A frontier that was written and read again grows like the original."""
    frontier = Frontier()
    for number in range(77):
        frontier = Frontier.decode(frontier.size, frontier.encode())
        frontier.append(leaf_hash(bytes([number])))
    assert root_of(leaf_hash(bytes([number])) for number in range(77)) == frontier.root()


def test_a_frontier_of_another_size_is_refused() -> None:
    """A size that does not fit the hashes is refused."""
    with pytest.raises(ValueError, match="perfect subtree"):
        Frontier.decode(3, bytes(32))


def test_a_leaf_completes_subtrees_of_every_height() -> None:
    """After each append, the frontier has the roots of all subtrees that end with the leaf."""
    leaves, frontier = [sha256(bytes([number])).digest() for number in range(64)], Frontier()
    for size, leaf in enumerate(leaves, start=1):
        frontier.append(leaf)
        heights = [height for height in range(7) if size % (1 << height) == 0]
        assert [merkle_tree_hash(leaves[size - (1 << height) : size]) for height in heights] == frontier.completed
