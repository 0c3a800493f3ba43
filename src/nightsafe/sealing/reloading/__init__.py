"""Reloads key files when they change, so that a rotation needs no restart."""
