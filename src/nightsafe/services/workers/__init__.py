"""The `workers/workers` resource: a Worker with its settings, and its previews."""
