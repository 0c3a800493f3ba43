"""Serves the public ring, and the rotation of recipient keys."""
