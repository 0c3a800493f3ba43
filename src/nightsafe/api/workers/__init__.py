"""The `workers/workers` resource and its previews."""
