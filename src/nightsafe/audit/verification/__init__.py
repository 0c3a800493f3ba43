"""Compares a database with its transparency log, and with the signatures on the log."""
