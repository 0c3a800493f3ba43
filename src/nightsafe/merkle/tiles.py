"""The paths and shapes of a log's tiles: C2SP tlog-tiles."""

import re
from collections.abc import Callable, Collection
from typing import Final, NamedTuple

from nightsafe.merkle.proofs import Node
from nightsafe.merkle.tree import HASH_SIZE, root_of

HEIGHT: Final = 8
WIDTH: Final = 1 << HEIGHT
"""The number of hashes in a full tile."""

MAX_ENTRY_BYTES: Final = (1 << 16) - 1
"""The maximum size of an entry, whose length an entry bundle has in two bytes."""

_PATH: Final = re.compile(r"(?P<level>entries|0|[1-9]\d?)/(?P<number>(x\d{3}/)*\d{3})(\.p/(?P<width>[1-9]\d{0,2}))?")
_MAX_LEVEL: Final = 63
_MAX_GROUPS: Final = 6
_GROUP: Final = 3

Hashes = Callable[[int, int, int], list[bytes]]
"""Returns consecutive hashes of a level, by the level, the index of the first and their number."""


class Tile(NamedTuple):
    """A tile, or a bundle of entries.

    Attributes:
        level: its level; None for a bundle of entries.
        number: its number in the level.
        width: how many hashes or entries it has, from 1 to 256.
    """

    level: int | None
    number: int
    width: int

    @property
    def start(self) -> int:
        """The index in its level of its first hash."""
        return self.number * WIDTH

    def exists(self, size: int) -> bool:
        """Return True if a log of this size has the tile."""
        return self.start + self.width <= size >> (HEIGHT * (self.level or 0))


def parse_tile(path: str) -> Tile | None:
    """Return the tile with a path, such as `0/x001/234.p/7` or `entries/000`; None when the path names no tile."""
    match = _PATH.fullmatch(path)
    if match is None or not path.isascii():
        return None
    groups = match["number"].replace("x", "").split("/")
    width = int(match["width"] or WIDTH)
    number = int("".join(groups))
    is_canonical = len(groups) <= _MAX_GROUPS and tile_number(number) == match["number"]
    level = None if match["level"] == "entries" else int(match["level"])
    if not is_canonical or (level or 0) > _MAX_LEVEL or (match["width"] and width >= WIDTH):
        return None
    return Tile(level, number, width)


def tile_path(tile: Tile) -> str:
    """Return the path of a tile, which `parse_tile` reads."""
    level = "entries" if tile.level is None else str(tile.level)
    return f"{level}/{tile_number(tile.number)}" + ("" if tile.width == WIDTH else f".p/{tile.width}")


def tile_number(number: int) -> str:
    """Return a tile's number in groups of three digits, each except the last with an `x`: `x001/x234/067`."""
    digits = str(number)
    digits = digits.zfill(-(-len(digits) // _GROUP) * _GROUP)
    groups = [digits[start : start + _GROUP] for start in range(0, len(digits), _GROUP)]
    return "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])


def entry_bundle(entries: list[bytes]) -> bytes:
    """Return entries as a bundle: each after its length in two bytes, big-endian."""
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def split_entry_bundle(data: bytes) -> list[bytes]:
    """Return the entries of a bundle.

    Raises:
        ValueError: when an entry is cut off.
    """
    entries, start = [], 0
    while start < len(data):
        end = start + 2 + int.from_bytes(data[start : start + 2], "big")
        if end > len(data) or start + 2 > len(data):
            raise ValueError("the last entry of the bundle is cut off")
        entries.append(data[start + 2 : end])
        start = end
    return entries


def split_hashes(data: bytes) -> list[bytes]:
    """Return the hashes of a tile.

    Raises:
        ValueError: when a hash is cut off.
    """
    if len(data) % HASH_SIZE:
        raise ValueError("the last hash of the tile is cut off")
    return [data[start : start + HASH_SIZE] for start in range(0, len(data), HASH_SIZE)]


def hash_ranges(nodes: Collection[tuple[int, int]]) -> set[tuple[int, int, int]]:
    """Return level, start and number of the tiles' hashes that subtrees are computed from.

    Args:
        nodes: height and index of each subtree.
    """
    ranges = set()
    for height, index in nodes:
        level, above = divmod(height, HEIGHT)
        ranges.add((level, index << above, 1 << above))
    return ranges


def tile_of(level: int, start: int, size: int) -> Tile:
    """Return the tile of a log of some size that has a hash.

    Args:
        level: the hash's level.
        start: its index in the level.
        size: the number of the log's entries.
    """
    number = start // WIDTH
    return Tile(level, number, min(WIDTH, (size >> (HEIGHT * level)) - number * WIDTH))


def node_from_tiles(hashes: Hashes) -> Node:
    """Return a function that computes the roots of perfect subtrees from the hashes of tiles.

    Args:
        hashes: returns hashes of a level; all of them are in one tile.
    """

    def node(height: int, index: int) -> bytes:
        """Return the root of a perfect subtree."""
        level, above = divmod(height, HEIGHT)
        return root_of(hashes(level, index << above, 1 << above))

    return node
