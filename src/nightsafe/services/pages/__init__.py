"""Pages projects, as far as they hold secrets."""
