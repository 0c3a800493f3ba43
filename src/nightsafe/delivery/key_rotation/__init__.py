"""Reseals values to the primary key after a rotation."""
