"""Serves the Secrets Store."""
