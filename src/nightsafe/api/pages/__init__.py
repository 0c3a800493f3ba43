"""Serves Pages projects."""
