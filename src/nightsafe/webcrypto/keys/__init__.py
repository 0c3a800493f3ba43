"""One module for each family of keys, with the checks of an import beyond its container format."""
