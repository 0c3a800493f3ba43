"""The versions of a script, and the deployments that serve them."""
