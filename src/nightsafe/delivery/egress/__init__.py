"""Addresses that scripts may connect to."""
