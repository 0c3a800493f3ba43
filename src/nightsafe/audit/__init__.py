"""The append-only log of what was done."""
