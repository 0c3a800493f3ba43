"""The data directory on disk: its files, its lock, and the recovery from interrupted commands."""
