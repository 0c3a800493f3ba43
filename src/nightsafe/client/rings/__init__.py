"""The public ring that a server offers, and the one that is remembered."""
