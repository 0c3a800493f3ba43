"""Rotation of recipient keys: which keys are in use, and values re-encrypted to the primary key."""
