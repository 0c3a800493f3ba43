"""Merkle trees, tiles and signed checkpoints of a transparency log. Contains no input or output."""
