"""Serves the `workers/workers` resource and its previews."""
