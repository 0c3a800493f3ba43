"""Nightsafe: a write-only safe for the secret bindings of Workers scripts."""

__version__ = "0.1.0"
