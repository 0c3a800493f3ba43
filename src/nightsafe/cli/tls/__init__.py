"""Checks, copies, tests and reloads the server's TLS files."""
