"""The asynchronous client. `tools/generate_client.py` makes `blocking` from it, but for two files."""
