"""Copies all rows of a safe from one engine to another, or to a snapshot in a file."""
