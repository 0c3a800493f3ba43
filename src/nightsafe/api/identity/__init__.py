"""Serves API tokens, users, accounts and memberships."""
