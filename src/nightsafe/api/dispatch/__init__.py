"""Serves Workers for Platforms: dispatch namespaces and the scripts in them."""
