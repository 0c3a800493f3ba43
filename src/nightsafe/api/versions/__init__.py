"""Serves the versions and deployments of a script."""
