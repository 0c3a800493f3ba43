"""The use cases: scripts, their versions and their secret bindings."""
