"""A whole safe: made, backed up, restored."""
