"""Serves the secret bindings of a script."""
