"""API tokens, users and accounts."""
