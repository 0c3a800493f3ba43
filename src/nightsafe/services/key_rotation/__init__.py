"""Rotation of recipient keys: shows which keys are in use, and reseals values to the primary key."""
