"""Audit sinks: files and servers that get a copy of every entry of the audit log."""
