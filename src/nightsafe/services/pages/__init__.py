"""Pages projects: the part of their API that holds secrets."""
