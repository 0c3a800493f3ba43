"""Fetches bundles from the API, and follows their changes."""
