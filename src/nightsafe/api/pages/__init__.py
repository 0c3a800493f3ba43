"""Pages projects."""
