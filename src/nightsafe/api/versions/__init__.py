"""Versions and deployments of a script."""
