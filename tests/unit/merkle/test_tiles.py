"""Tiles: their paths, their shapes, and the nodes that are computed from them."""

import pytest

from nightsafe.merkle.proofs import consistency_proof, inclusion_proof, is_consistent, root_from_inclusion
from nightsafe.merkle.tiles import (
    Tile,
    entry_bundle,
    node_from_tiles,
    parse_tile,
    split_entry_bundle,
    split_hashes,
    tile_path,
)
from nightsafe.merkle.tree import leaf_hash, root_of

TILES = {
    "0/000": Tile(0, 0, 256),
    "0/x001/x234/067": Tile(0, 1234067, 256),
    "1/999.p/1": Tile(1, 999, 1),
    "63/x001/000.p/255": Tile(63, 1000, 255),
    "entries/007.p/12": Tile(None, 7, 12),
}
NO_TILES = [
    "", "0", "0/", "0/0", "0/0000", "0/001/002", "0/x000/001", "00/001", "64/001", "-1/001", "0/x001", "0/001.p/0",
    "0/001.p/256", "0/001.p/01", "0/001.p/", "entries/1", "entry/001", "0/\u0661\u0661\u0661", "0/001\n",
    "0/" + "x001/" * 9 + "001",
]  # fmt: skip


@pytest.mark.parametrize(("path", "tile"), TILES.items())
def test_a_path_names_a_tile(path: str, tile: Tile) -> None:
    """A path is read and written in the form of the specification."""
    assert (tile, path) == (parse_tile(path), tile_path(tile))


@pytest.mark.parametrize("path", NO_TILES)
def test_any_other_path_names_no_tile(path: str) -> None:
    """A path in any other form is not a tile, so each tile has one path."""
    assert parse_tile(path) is None


def test_a_log_has_the_tiles_of_its_size() -> None:
    """The example of the specification: a log of 70,000 entries."""
    full, partial = Tile(0, 272, 256), Tile(0, 273, 112)
    assert full.exists(70_000)
    assert partial.exists(70_000)
    assert Tile(1, 0, 256).exists(70_000)
    assert Tile(1, 1, 17).exists(70_000)
    assert Tile(2, 0, 1).exists(70_000)
    absent = [Tile(0, 273, 113), Tile(1, 1, 18), Tile(2, 0, 2), Tile(3, 0, 1), Tile(None, 273, 113)]
    assert not any(tile.exists(70_000) for tile in absent)


def test_proofs_come_from_tiles() -> None:
    """The nodes of a tree of more than one level of tiles lead to valid proofs."""
    leaves = [leaf_hash(number.to_bytes(4, "big")) for number in range(700)]
    levels = [leaves, [root_of(leaves[start : start + 256]) for start in (0, 256)]]

    def hashes(level: int, start: int, count: int) -> list[bytes]:
        """Return hashes of a level, all from one tile."""
        assert start // 256 == (start + count - 1) // 256
        return levels[level][start : start + count]

    node = node_from_tiles(hashes)
    for index in (0, 255, 256, 511, 640, 699):
        path = inclusion_proof(index, 700, node)
        assert root_of(leaves) == root_from_inclusion(index, 700, leaves[index], path)
    for old in (1, 256, 300, 512, 699):
        proof = consistency_proof(old, 700, node)
        assert is_consistent(old, 700, root_of(leaves[:old]), root_of(leaves), proof)


def test_entries_come_back_from_a_bundle() -> None:
    """A bundle is split into its entries; one that is cut off is refused."""
    entries = [b"", b"one", b"x" * 65535]
    assert entries == split_entry_bundle(entry_bundle(entries))
    for end in (1, 4, 6, -1):
        with pytest.raises(ValueError, match="cut off"):
            split_entry_bundle(entry_bundle(entries)[:end])


def test_hashes_come_back_from_a_tile() -> None:
    """A tile is split into its hashes; one that is cut off is refused."""
    assert [b"a" * 32, b"b" * 32] == split_hashes(b"a" * 32 + b"b" * 32)
    with pytest.raises(ValueError, match="cut off"):
        split_hashes(bytes(33))
