"""Fetches the public ring that a server offers, and remembers it."""
