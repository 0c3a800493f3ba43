"""The server processes: `serve`, `deliver` and `run`."""
