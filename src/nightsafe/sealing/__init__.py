"""The sealed-value format: seal, open, key rings, signed records."""
