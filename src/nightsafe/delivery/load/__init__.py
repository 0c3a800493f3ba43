"""Builds the loads for workerd: the code, the `env` with opened values, and the frame that carries both."""
