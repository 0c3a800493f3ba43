"""Where a command finds its settings and its server."""
