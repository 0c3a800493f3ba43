"""One module for each family of keys: what an import checks beyond its container."""
