"""The paths and contents of a log's tiles."""

from contextlib import suppress

from nightsafe.merkle.tiles import entry_bundle, parse_tile, split_entry_bundle, split_hashes, tile_path


def check(data: bytes) -> None:
    """Check that what parses is exactly what its parts make, and that the rest is refused."""
    text = data.decode("utf-8", "replace")
    tile = parse_tile(text)
    assert tile is None or text == tile_path(tile)
    with suppress(ValueError):
        assert data == entry_bundle(split_entry_bundle(data))
    try:
        assert data == b"".join(split_hashes(data))
    except ValueError:
        assert len(data) % 32
