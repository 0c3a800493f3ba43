"""Starts and supervises the workerd processes, and talks to them over sockets."""
